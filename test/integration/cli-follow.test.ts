// `deploy` and `rollback` against a controller of the test's: the whole output, every exit code, and that
// following outlives whatever happens to connection and controller.

import t, { type Test } from 'tap'
import type { DesiredAnswer } from '#shared/api/requests.ts'
import type { RolloutView } from '#shared/api/schemas.ts'
import { FakeController } from './cli-fake-controller.ts'
import { HastyClock, ran, run, TestClock } from './cli-run.ts'
import {
  committed,
  fleet,
  participant,
  phasesOf,
  rollout,
  startedAt,
  swapped,
} from './cli-views.ts'

const away =
  'the controller at http://ADDRESS does not answer: nothing listens there (ECONNREFUSED)'
const desired = 'PUT /v1/apps/shop/environments/production/desired'
const deploy = ['deploy', 'shop', '0.0.12', '--env', 'production']

async function controller(t: Test): Promise<FakeController> {
  const fake = await new FakeController().start()
  t.teardown(() => fake.stop())
  return fake
}

const started = (view: RolloutView): DesiredAnswer => ({ outcome: 'started', rollout: view })

const aborted = rollout({
  phase: 'aborted',
  reason: 'cancelled',
  exitCode: 4,
  endedAt: startedAt + 5000,
  phases: phasesOf(['staging', 5000], ['aborted', 0]),
})
const rolledBack = rollout({
  phase: 'rolled-back',
  reason: 'activation-deadline',
  exitCode: 3,
  endedAt: startedAt + 9000,
  phases: phasesOf(
    ['staging', 5000],
    ['activating', 3000],
    ['rolling-back', 1000],
    ['rolled-back', 0],
  ),
  participants: fleet(3, { counted: true }),
})
const failed = { ...rolledBack, phase: 'failed' as const, exitCode: 1, fallback: null }
const unknown = { ...rolledBack, exitCode: 5, unknown: ['web-3'] }

void t.test('a deploy from request to committed, line by line', async (t) => {
  const fake = await controller(t)
  const ready = rollout({ participants: fleet(3, { phase: 'ready' }) })
  fake.answer(desired, started(rollout()), 202)
  fake.answerInTurn('GET /v1/rollouts/r-1', ready, committed())
  const { out, err, exitCode } = run(deploy, { url: fake.url })
  await fake.listened()
  fake.change()
  await out.line(/ready 3\/3/)
  fake.change()
  t.equal(await exitCode, 0)
  t.equal(
    out.text,
    `14:03:22  rollout of shop from 0.0.11 to 0.0.12 in production, 3 hosts, by admin-1, r-1
14:03:22  ready 0/3; waiting for web-1 (not begun), web-2 (not begun), web-3 (not begun)
14:03:22  ready 3/3
14:03:22  barrier open: all 3 ready after 7.1 s; swapping
14:03:22  swapped: 3 hosts, first to last 3.2 ms (± 0.4 ms)

committed: shop 0.0.12 runs on all 3 hosts in production
  swap  3 hosts, first to last 3.2 ms (± 0.4 ms)
  took  12.4 s: staging 7.1 s, activating 300 ms, verifying 5 s
`,
  )
  t.equal(err.text, '')
  const [asked] = fake.asked
  t.match(asked?.headers, { 'authorization': 'Bearer test-token', 'idempotency-key': 'key-1' })
  t.same(JSON.parse(asked?.body.toString() ?? ''), { version: '0.0.12' })
})

void t.test('every end has its exit code, and JSON tells the same', async (t) => {
  const fake = await controller(t)
  for (const view of [committed(), failed, rolledBack, aborted, unknown]) {
    fake.answer(desired, started(view), 202)
    const plain = await ran(deploy, { url: fake.url })
    t.equal(plain.exitCode, view.exitCode, view.phase)
    const json = await ran([...deploy, '--json'], { url: fake.url })
    t.equal(json.exitCode, view.exitCode)
    t.same(JSON.parse(json.out), started(view), 'standard output is JSON and nothing else')
  }
})

void t.test('the policy asked for is what is sent', async (t) => {
  const fake = await controller(t)
  fake.answer(desired, started(committed()), 202)
  const policy = [
    '--require',
    '60%',
    '--wait',
    '5m',
    '--exclude',
    'web-3=new disk',
    '--exclude',
    'web-4=sold',
  ]
  t.equal((await ran([...deploy, ...policy, '--allow-empty'], { url: fake.url })).exitCode, 0)
  t.same(JSON.parse(fake.asked[0]?.body.toString() ?? ''), {
    version: '0.0.12',
    require: '60%',
    waitMs: 300_000,
    exclude: { 'web-3': 'new disk', 'web-4': 'sold' },
    allowEmpty: true,
  })
  const tooLong = await ran([...deploy, '--wait', '16m'], { url: fake.url })
  t.equal(tooLong.exitCode, 2)
  t.match(tooLong.err, /--wait 16m is longer than hosts may stage, 15 min 00 s/)
})

void t.test('--no-wait starts and leaves, with or without a --wait for hosts', async (t) => {
  const fake = await controller(t)
  fake.answer(desired, started(rollout()), 202)
  const left = await ran([...deploy, '--no-wait', '--wait', '90s'], { url: fake.url })
  t.same(left, {
    exitCode: 0,
    out: '14:03:22  started the rollout r-1; follow it with `lockstep watch shop --env production`\n',
    err: '',
  })
  t.match(JSON.parse(fake.asked[0]?.body.toString() ?? ''), { waitMs: 90_000 })
  t.equal(fake.asked.length, 1, 'nothing is looked at')
})

void t.test('what a request came to, when it started nothing', async (t) => {
  const fake = await controller(t)
  fake.answer(desired, { outcome: 'unchanged', rollout: null })
  t.same(await ran(deploy, { url: fake.url }), {
    exitCode: 0,
    out: '14:03:22  shop in production is committed to 0.0.12; nothing to do\n',
    err: '',
  })
  fake.answer(
    desired,
    {
      outcome: 'returned',
      rollout: { ...aborted, target: { version: '0.0.13', tree: 'd'.repeat(64) } },
    },
    202,
  )
  t.same(await ran(deploy, { url: fake.url }), {
    exitCode: 0,
    out:
      '14:03:22  the rollout to 0.0.13 was still staging and is aborted; ' +
      'shop in production is committed to 0.0.12\n',
    err: '',
  })
  fake.answer(desired, { outcome: 'open', rollout: committed() })
  const joined = await ran([...deploy, '--require', '2'], { url: fake.url })
  t.equal(joined.exitCode, 0)
  t.match(
    joined.out,
    /this rollout was open already\n.*its own policy holds, not the options given here/,
  )
  fake.answer(desired, { code: 'fenced', message: 'hosts hold (2, 9)', hint: 'Recover it.' }, 409)
  t.same(await ran(deploy, { url: fake.url }), {
    exitCode: 1,
    out: '',
    err: 'lockstep: hosts hold (2, 9) (fenced)\n  Recover it.\n',
  })
})

void t.test('rollback follows the same way', async (t) => {
  const fake = await controller(t)
  fake.answer('POST /v1/apps/shop/environments/production/rollback', started(committed()), 202)
  const rollback = ['rollback', 'shop', '--env', 'production']
  t.equal((await ran(rollback, { url: fake.url })).exitCode, 0)
  t.equal((await ran([...rollback, '--to', '0.0.9'], { url: fake.url })).exitCode, 0)
  t.same(
    fake.asked.map(({ body }) => JSON.parse(body.toString())),
    [{}, { version: '0.0.9' }],
  )
})

void t.test('the controller restarts in the middle', async (t) => {
  const fake = await controller(t)
  const clock = new TestClock()
  fake.answer(desired, started(rollout()), 202)
  fake.answer('GET /v1/rollouts/r-1', rollout())
  const { out, exitCode } = run(deploy, { url: fake.url, clock })
  await fake.listened()
  await fake.stop()
  await clock.slept(2)
  clock.advance(2000)
  await out.line(/does not answer: nothing listens there \(ECONNREFUSED\); still trying/)
  await clock.slept(2)
  clock.advance(31_000)
  await out.line(/, for 31 s now; still trying/)
  fake.answer('GET /v1/rollouts/r-1', committed())
  await fake.start()
  await clock.slept(2)
  clock.advance(10_000)
  t.equal(await exitCode, 0)
  t.same(
    out.lines.slice(2, 6).map((line) => line.replace(/\d+\.\d+\.\d+\.\d+:\d+/, 'ADDRESS')),
    [
      `14:03:24  ${away}; still trying`,
      `14:03:55  ${away}, for 31 s now; still trying`,
      '14:04:05  the controller answers again',
      '14:04:05  barrier open: all 3 ready after 7.1 s; swapping',
    ],
  )
})

void t.test('without events it looks every 2 s', async (t) => {
  const fake = await controller(t)
  const clock = new TestClock()
  fake.answer(desired, started(rollout()), 202)
  fake.on(({ url }) => (url.startsWith('/v1/events') ? 'hang-up' : undefined))
  fake.answerInTurn(
    'GET /v1/rollouts/r-1',
    rollout({ participants: fleet(3, { phase: 'ready' }) }),
    committed(),
  )
  const { out, exitCode } = run(deploy, { url: fake.url, clock })
  await out.line(/ready 0\/3/)
  await fake.askedTimes('GET /v1/events', 1)
  await clock.slept(2)
  clock.advance(1999)
  t.equal(fake.countOf('GET /v1/rollouts/r-1'), 0, 'not before')
  clock.advance(1)
  await out.line(/ready 3\/3/)
  await clock.slept(2)
  clock.advance(2000)
  t.equal(await exitCode, 0)
})

void t.test('a request whose answer is lost is repeated under its key', async (t) => {
  const fake = await controller(t)
  const answers: (
    | 'hang-up'
    | { status: number; body?: unknown; raw?: string; headers?: Record<string, string> }
  )[] = [
    'hang-up',
    { status: 503, body: { code: 'busy', message: 'too much under way' } },
    { status: 502, raw: '<html>', headers: { 'content-type': 'text/html' } },
    { status: 202, body: started(committed()) },
  ]
  fake.on((asked) => (asked.method === 'PUT' ? answers.shift() : undefined))
  const { exitCode, out } = await ran(deploy, { url: fake.url, clock: new HastyClock() })
  t.equal(exitCode, 0)
  t.match(out, /the connection broke \(ECONNRESET\); still trying/)
  t.match(out, /the controller answers again/)
  t.same(
    fake.asked.map(({ method, headers }) => [method, headers['idempotency-key']]),
    Array.from({ length: 4 }, () => ['PUT', 'key-1']),
  )
})

void t.test(
  'patience ends: with a request after a minute, with following after half an hour',
  async (t) => {
    const fake = await controller(t)
    fake.on(() => 'hang-up')
    const request = await ran(deploy, { url: fake.url, clock: new HastyClock() })
    t.equal(request.exitCode, 1)
    t.match(
      request.err,
      /whether the rollout was started is not known: see `lockstep status shop --env production`/,
    )
    t.match(request.err, /\(ECONNRESET\), for 1 min \d\d s \(unreachable\)/)
    fake.answer(desired, started(rollout()), 202)
    const following = await ran(deploy, { url: fake.url, clock: new HastyClock() })
    t.equal(following.exitCode, 1)
    t.match(
      following.err,
      /following ends here; the rollout goes on\. Stop it: `lockstep cancel shop --env production`/,
    )
    t.match(following.err, /, for 30 min \d\d s \(unreachable\)/)
  },
)

void t.test('a wrong address is not waited for', async (t) => {
  const { exitCode, out, err } = await ran(deploy, {
    url: 'https://no-such-host.invalid',
    clock: new HastyClock(),
  })
  t.equal(exitCode, 1)
  t.equal(
    out.includes('still trying'),
    /EAI_AGAIN/.test(err),
    'unless only the name server is away',
  )
})

void t.test('a refusal while following is told, and that the rollout goes on', async (t) => {
  const fake = await controller(t)
  const clock = new TestClock()
  fake.answer(desired, started(rollout()), 202)
  fake.answer(
    'GET /v1/rollouts/r-1',
    { code: 'unauthorised', message: 'the token is expired' },
    401,
  )
  const { exitCode, err, out } = run(deploy, { url: fake.url, clock })
  await out.line(/ready 0\/3/)
  await clock.slept()
  clock.advance(2000)
  t.equal(await exitCode, 1)
  t.match(err.lines, [
    /^following ends here; the rollout goes on\./,
    /^lockstep: the token is expired \(unauthorised\)$/,
    /^ {2}The token is from LOCKSTEP_TOKEN\. Set /,
  ])
})

void t.test('Ctrl-C leaves the rollout to itself, and says so', async (t) => {
  const fake = await controller(t)
  fake.answer(desired, started(rollout()), 202)
  const following = run(deploy, { url: fake.url })
  await fake.listened()
  following.interrupt()
  t.equal(await following.exitCode, 130)
  t.equal(
    following.err.text,
    'interrupted; the rollout goes on. Stop it: `lockstep cancel shop --env production`. ' +
      'Follow it: `lockstep watch shop --env production`.\n',
  )
  await fake.stop()
  const asking = run(deploy, { url: fake.url })
  await asking.out.line(/still trying/)
  asking.interrupt()
  t.equal(await asking.exitCode, 130)
  t.match(asking.err.text, /whether the rollout was started is not known/)
})

void t.test('hostile text of hosts and controllers stays text', async (t) => {
  const fake = await controller(t)
  const nasty = 'x\x1b]0;owned\x07\x1b[2J\ncommitted: all well\u202e\u200b\x9b31m'
  const failure = { code: 'stage-failed', message: nasty, hint: nasty }
  fake.answer(
    desired,
    started({
      ...aborted,
      reason: nasty,
      requestedBy: nasty,
      excluded: [{ host: 'h'.repeat(26), name: 'web-9', reason: nasty }],
      participants: [
        participant('web-1', { ...swapped, state: 'left-behind', failure, phase: 'failed' }),
      ],
    }),
    202,
  )
  const { out } = await ran(deploy, { url: fake.url })
  fake.answer(desired, { code: 'internal', message: nasty, hint: nasty }, 500)
  const { err } = await ran(deploy, { url: fake.url })
  fake.answer(desired, { code: nasty, message: nasty }, 400)
  const { err: unknownCode } = await ran(deploy, { url: fake.url })
  for (const text of [out, err, unknownCode]) {
    t.match(text, /\\x1b\]0;owned\\x07/, 'it is shown, written out')
    t.notMatch(text, /[^\n -~]/u, 'and nothing else but plain characters')
    t.notOk(
      text.split('\n').some((line) => line.startsWith('committed:')),
      'no forged line',
    )
  }
})
