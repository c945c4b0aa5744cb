// `watch`: across rollouts, over a restart of the controller, as lines or as NDJSON, until it is stopped.

import t, { type Test } from 'tap'
import type { EnvironmentView } from '#shared/api/schemas.ts'
import { FakeController } from './cli-fake-controller.ts'
import { run, TestClock } from './cli-run.ts'
import { committed, environment, fleet, host, newRelease, rollout, startedAt } from './cli-views.ts'

const away =
  'the controller at http://ADDRESS does not answer: nothing listens there (ECONNREFUSED)'
const quiet = 'shop in production: committed to 0.0.11, 3 of 3 hosts connected, no rollout open'
const production = 'GET /v1/apps/shop/environments/production'
const staging = 'GET /v1/apps/shop/environments/staging'

async function controller(t: Test): Promise<FakeController> {
  const fake = await new FakeController().start()
  t.teardown(() => fake.stop())
  return fake
}

const open = rollout({ participants: fleet(3, { phase: 'ready' }) })
const second = rollout({
  id: 'r-2',
  target: { version: '0.0.13', tree: 'd'.repeat(64) },
  fallback: newRelease,
})

void t.test('one environment, through two rollouts', async (t) => {
  const fake = await controller(t)
  const views: EnvironmentView[] = [
    environment(),
    environment({ rollout: open }),
    // The first has ended and the second begun between two looks.
    environment({ rollout: second, committed: newRelease }),
  ]
  fake.answerInTurn(production, ...views)
  fake.answer('GET /v1/rollouts/r-1', committed())
  const watching = run(['watch', 'shop', '--env', 'production'], { url: fake.url })
  await fake.listened()
  t.equal(fake.asked.at(-1)?.url, '/v1/events?app=shop&environment=production')
  fake.change()
  await watching.out.line(/ready 3\/3/)
  fake.send('fact', {
    id: 7,
    at: startedAt,
    app: 'shop',
    environment: 'production',
    type: 'host-joined',
    rollout: null,
    host: null,
    text: 'web-7 joined\x1b[2J',
  })
  await watching.out.line(/to 0\.0\.13/)
  watching.interrupt()
  t.equal(await watching.exitCode, 0, 'stopping is how watching ends')
  t.same(watching.out.lines, [
    `14:03:22  ${quiet}`,
    '14:03:22  rollout of shop from 0.0.11 to 0.0.12 in production, 3 hosts, by admin-1, r-1',
    '14:03:22  ready 3/3',
    '14:03:22  web-7 joined\\x1b[2J',
    '14:03:22  barrier open: all 3 ready after 7.1 s; swapping',
    '14:03:22  swapped: 3 hosts, first to last 3.2 ms (± 0.4 ms)',
    '14:03:22  committed: shop 0.0.12 runs on all 3 hosts in production',
    '14:03:22    swap  3 hosts, first to last 3.2 ms (± 0.4 ms)',
    '14:03:22    took  12.4 s: staging 7.1 s, activating 300 ms, verifying 5 s',
    '14:03:22  rollout of shop from 0.0.12 to 0.0.13 in production, 3 hosts, by admin-1, r-2',
    '14:03:22  ready 0/3; waiting for web-1 (not begun), web-2 (not begun), web-3 (not begun)',
  ])
})

void t.test('all environments, over a restart of the controller', async (t) => {
  const fake = await controller(t)
  const clock = new TestClock()
  const apps = (environments: string[]) => ({
    items: [{ app: 'shop', environments, releases: 2 }],
    next: null,
  })
  fake.answer('GET /v1/apps', apps(['production', 'staging']))
  fake.answer(production, environment())
  fake.answer(staging, environment({ environment: 'staging', hosts: [] }))
  const watching = run(['watch'], { url: fake.url, clock })
  await fake.listened()
  await fake.stop()
  fake.answer(
    production,
    environment({ hosts: [host('web-1', { connected: false }), host('web-2'), host('web-3')] }),
  )
  fake.answer('GET /v1/apps', apps(['production', 'staging', 'test']))
  fake.answer(
    'GET /v1/apps/shop/environments/test',
    environment({ environment: 'test', hosts: [] }),
  )
  await clock.slept(2)
  clock.advance(2000)
  await watching.out.line(/still trying/)
  await fake.start()
  await clock.slept(2)
  clock.advance(5000)
  await watching.out.line(/shop in test/)
  watching.interrupt()
  t.equal(await watching.exitCode, 0)
  t.same(
    watching.out.lines.map((line) => line.replace(/127\.0\.0\.1:\d+/, 'ADDRESS')),
    [
      `14:03:22  shop production  ${quiet}`,
      '14:03:22  shop staging  shop in staging: committed to 0.0.11, 0 of 0 hosts connected, no rollout open',
      `14:03:24  ${away}; still trying`,
      '14:03:29  the controller answers again',
      '14:03:29  shop production  web-1 is away',
      '14:03:29  shop test  shop in test: committed to 0.0.11, 0 of 0 hosts connected, no rollout open',
    ],
  )
})

void t.test('NDJSON: every line is an object, and what says nothing is left out', async (t) => {
  const fake = await controller(t)
  const clock = new TestClock()
  const seenAt = (lastSeenAt: number) =>
    environment({ hosts: [host('web-1', { lastSeenAt, roundTripMs: lastSeenAt % 7 })] })
  const last = environment({ rollout: open })
  fake.answerInTurn(production, seenAt(1), seenAt(2), last)
  const watching = run(['watch', 'shop', '--env', 'production', '--json'], { url: fake.url, clock })
  await fake.listened()
  await clock.slept()
  clock.advance(2000)
  await fake.askedTimes(production, 2)
  const fact = {
    id: 7,
    at: startedAt,
    app: 'shop',
    environment: 'production',
    type: 'decided',
    rollout: null,
    host: null,
    text: 'a \u202e text\nof two lines',
  }
  fake.send('fact', fact, 7)
  await watching.out.line(/"rollout":\{/)
  await fake.stop()
  await clock.slept(2)
  clock.advance(2000)
  await watching.out.line(/"silence"/)
  watching.interrupt()
  t.equal(await watching.exitCode, 0)
  const objects = watching.out.lines.map((line): { event: string; data: unknown } =>
    JSON.parse(line),
  )
  t.same(objects.slice(0, 3), [
    { event: 'environment', data: seenAt(1) },
    { event: 'fact', data: fact },
    { event: 'environment', data: last },
  ])
  t.match(objects[3], { event: 'silence', data: { message: /still trying$/ } })
  t.equal(objects.length, 4)
  t.notMatch(watching.out.text, '\u202e')
})

void t.test('what was heard last is asked for after a break', async (t) => {
  const fake = await controller(t)
  const clock = new TestClock()
  fake.answer(production, environment())
  const watching = run(['watch', 'shop', '--env', 'production'], { url: fake.url, clock })
  await fake.listened()
  const fact = {
    id: 41,
    at: 1,
    app: 'shop',
    environment: 'production',
    type: 'host-joined',
    rollout: null,
    host: null,
    text: 'one',
  }
  fake.send('fact', fact, 41)
  await watching.out.line(/ one$/)
  await fake.stop()
  await fake.start()
  await clock.slept(2)
  clock.advance(5000)
  await fake.listened()
  const streams = fake.asked.filter(({ url }) => url.startsWith('/v1/events'))
  t.same(
    streams.map(({ headers }) => headers['last-event-id']),
    [undefined, '41'],
  )
  watching.interrupt()
  await watching.exitCode
})

void t.test('a place that is not there is an error, not a wait', async (t) => {
  const fake = await controller(t)
  fake.answer(
    production,
    { code: 'unknown-environment', message: 'shop has no environment production' },
    404,
  )
  const watching = run(['watch', 'shop', '--env', 'production'], { url: fake.url })
  t.equal(await watching.exitCode, 1)
  t.equal(watching.err.text, 'lockstep: shop has no environment production (unknown-environment)\n')
  const { exitCode } = run(['watch', '--env', 'production'], { url: fake.url })
  t.equal(await exitCode, 2)
})
