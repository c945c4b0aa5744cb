// Every command but deploy, rollback, tokens and watch, against a controller of the test's: what it
// asks, what it prints, and that --json is the API's own JSON.

import t, { type Test } from 'tap'
import type { Services } from '#cli/services.ts'
import { FakeController } from './cli-fake-controller.ts'
import { ran } from './cli-run.ts'
import {
  committed,
  environment,
  fleet,
  host,
  hostIdOf,
  newRelease,
  phasesOf,
  release,
  rollout,
  servedApp,
  startedAt,
} from './cli-views.ts'

async function controller(t: Test): Promise<FakeController> {
  const fake = await new FakeController().start()
  t.teardown(() => fake.stop())
  return fake
}

const place = 'GET /v1/apps/shop/environments/production'

void t.test('releases, newest first, and all of them when asked', async (t) => {
  const fake = await controller(t)
  const page = (first: number, next: string | null) => ({
    items: Array.from({ length: 15 }, (_, at) => release(`1.${first - at}`, first - at)),
    next,
  })
  const isSecond = (url: string) => url.endsWith('?after=cursor-1')
  fake.on(({ url }) => ({ body: isSecond(url) ? page(15, null) : page(30, 'cursor-1') }))
  const first = await ran(['releases', 'shop'], { url: fake.url })
  t.equal(
    first.out.split('\n').slice(0, 2).join('\n'),
    `VERSION  PUBLISHED            BY       ENTRIES  SIZE     TREE          SIGNED  FAILED IN
1.30     2026-11-23 14:02:22  admin-1  5330     81.2 MB  bbbbbbbbbbbb  no`,
  )
  t.equal(first.err, 'the newest 15 releases; more with --all\n')
  const all = await ran(['releases', 'shop', '--all'], { url: fake.url })
  t.equal(all.out.trim().split('\n').length, 31)
  t.equal(all.err, '')
  t.same(
    JSON.parse((await ran(['releases', 'shop', '--json'], { url: fake.url })).out),
    page(30, 'cursor-1'),
  )
  fake.answer('GET /v1/apps/shop/releases', { items: [], next: null })
  t.match(await ran(['releases', 'shop'], { url: fake.url }), {
    out: '',
    err: 'there is no release yet\n',
  })
})

const away = host('web-2', {
  connected: false,
  lastSeenAt: startedAt - 200_000,
  apps: [servedApp({ phase: 'unknown', standing: 'unknown', runs: null, serving: false })],
})
const failing = host('web-3', {
  apps: [
    servedApp({
      phase: 'failed',
      serving: false,
      failure: { code: 'no-space', message: 'the disk is full', hint: 'Free some.' },
    }),
    servedApp({ app: 'blog', excluded: 'new disk', runs: null, phase: 'idle' }),
  ],
})

void t.test('hosts, and what each attests', async (t) => {
  const fake = await controller(t)
  const items = [
    host('web-1'),
    away,
    failing,
    host('web-4', { connected: false, lastSeenAt: null, apps: [] }),
  ]
  fake.answer('GET /v1/hosts', { items, next: null })
  t.equal(
    (await ran(['hosts'], { url: fake.url })).out,
    `HOST   STATE       APP              RUNS     PHASE                     SERVING
web-1  connected   shop production  0.0.11   healthy                   yes
web-2  away 3 min  shop production  unknown  unknown                   no
web-3  connected   shop production  0.0.11   failed: no-space          no
web-3  connected   blog production  none     idle, excluded: new disk  yes
web-4  never seen  -                -        -                         -
web-3, shop in production: the disk is full (no-space)
  what to do: Free some.
`,
  )
  await ran(['hosts', '--app', 'shop', '--env', 'production'], { url: fake.url })
  t.equal(fake.asked[1]?.url, '/v1/hosts?app=shop&environment=production')
  t.same(JSON.parse((await ran(['hosts', '--json'], { url: fake.url })).out), { items, next: null })
  t.equal((await ran(['hosts', '--env', 'production'], { url: fake.url })).exitCode, 2)
})

void t.test('a list of hosts in pages is one list', async (t) => {
  const fake = await controller(t)
  fake.on(({ url }) => ({
    body: url.includes('after=5')
      ? { items: [host('web-2')], next: null }
      : { items: [host('web-1')], next: '5' },
  }))
  const { out } = await ran(['hosts', '--json'], { url: fake.url })
  t.same(JSON.parse(out), { items: [host('web-1'), host('web-2')], next: null })
})

void t.test('hosts remove takes a name and removes that host', async (t) => {
  const fake = await controller(t)
  fake.answer('GET /v1/hosts', { items: [host('web-1'), away], next: null })
  fake.answer(`DELETE /v1/hosts/${hostIdOf('web-2')}`, undefined, 204)
  const removed = await ran(['hosts', 'remove', 'web-2'], { url: fake.url })
  t.same(removed, {
    exitCode: 0,
    out: 'removed web-2; what is on its disk stays as it is\n',
    err: '',
  })
  const unknown = await ran(['hosts', 'remove', 'web-9'], { url: fake.url })
  t.equal(unknown.exitCode, 1)
  t.match(unknown.err, /there is no host web-9 \(unknown-host\)/)
  t.equal(fake.countOf(`DELETE /v1/hosts/${hostIdOf('web-2')}`), 1)
})

void t.test('status of everything, and of one environment', async (t) => {
  const fake = await controller(t)
  const apps = {
    items: [{ app: 'shop', environments: ['production', 'staging'], releases: 2 }],
    next: null,
  }
  const ended = committed({ endedAt: startedAt - 100_000 })
  const view = environment({ rollout: ended, hosts: [host('web-1'), away] })
  const staging = environment({
    environment: 'staging',
    committed: null,
    fencedBy: [
      { host: hostIdOf('web-1'), name: 'web-1', term: 2, epoch: 9, why: 'a higher fence' },
    ],
    hosts: [],
  })
  fake.answer('GET /v1/apps', apps)
  fake.answer(place, view)
  fake.answer('GET /v1/apps/shop/environments/staging', staging)
  t.equal(
    (await ran(['status'], { url: fake.url })).out,
    `APP   ENVIRONMENT  COMMITTED  DESIRED  ROLLOUT    HOSTS          SERVING
shop  production   0.0.11     0.0.11   committed  1/2 connected  1 of 2 hosts
shop  staging      -          0.0.11   fenced     0/0 connected  0 of 0 hosts
`,
  )
  t.equal(
    (await ran(['status', 'shop', '--env', 'production'], { url: fake.url })).out,
    `shop in production
  committed  0.0.11 (tree aaaaaaaaaaaa)
  desired    0.0.11 (tree aaaaaaaaaaaa)
  rollout    committed: to 0.0.12, ended 1 min ago, r-1
  fence      term 1, epoch 4
  serving    1 of 2 hosts

HOST   STATE       APP              RUNS     PHASE    SERVING
web-1  connected   shop production  0.0.11   healthy  yes
web-2  away 3 min  shop production  unknown  unknown  no
`,
  )
  t.match(
    (await ran(['status', 'shop', '--env', 'staging'], { url: fake.url })).out,
    `shop in staging
  fenced: this controller does not know what these hosts were told, and decides nothing
    web-1 holds term 2, epoch 9: a higher fence
  what to do: see that no other controller runs, then \`lockstep controller recover shop --env staging\`
  committed  nothing yet`,
  )
  const json = (words: string[]) => ran([...words, '--json'], { url: fake.url })
  t.same(JSON.parse((await json(['status', 'shop', '--env', 'production'])).out), view)
  t.same(JSON.parse((await json(['status'])).out), { items: [view, staging], next: null })
})

void t.test('history tells every end as it was', async (t) => {
  const fake = await controller(t)
  const phases = phasesOf(['staging', 1000], ['rolled-back', 0])
  const items = [
    rollout({ participants: fleet(5) }),
    rollout({
      phase: 'rolled-back',
      reason: 'host-failed',
      exitCode: 5,
      phases,
      endedAt: startedAt + 61_000,
      unknown: ['web-2'],
    }),
    committed({ fallback: null, target: newRelease }),
  ]
  const failed = 'a host failed after the decision to swap'
  fake.answer(`${place}/rollouts`, { items, next: null })
  t.equal(
    (await ran(['history', 'shop', '--env', 'production'], { url: fake.url })).out,
    `STARTED              FROM    TO      END                     HOSTS  SKEW    TOOK        BY       WHY
2026-11-23 14:03:22  0.0.11  0.0.12  staging                 5      -       -           admin-1
2026-11-23 14:03:22  0.0.11  0.0.12  rolled-back, 1 unknown  3      -       1 min 01 s  admin-1  ${failed}
2026-11-23 14:03:22  -       0.0.12  committed               3      3.2 ms  12.4 s      admin-1
`,
  )
  const json = await ran(['history', 'shop', '--env', 'production', '--json'], { url: fake.url })
  t.same(JSON.parse(json.out), { items, next: null })
})

void t.test('cancel before and after the decision', async (t) => {
  const fake = await controller(t)
  const cancel = ['cancel', 'shop', '--env', 'production']
  fake.answer(place, environment({ rollout: rollout() }))
  const aborted = rollout({
    phase: 'aborted',
    reason: 'cancelled',
    exitCode: 4,
    endedAt: startedAt + 1,
  })
  fake.answer('POST /v1/rollouts/r-1/cancel', { outcome: 'cancelled', rollout: aborted })
  t.same(await ran(cancel, { url: fake.url }), {
    exitCode: 0,
    out: `aborted: no host was told to swap; shop in production stays on 0.0.11
  why   it was cancelled
  took  1 ms
`,
    err: '',
  })
  const back = rollout({ phase: 'rolling-back', reason: 'cancelled' })
  fake.answer('POST /v1/rollouts/r-1/cancel', { outcome: 'cancelled', rollout: back })
  t.equal(
    (await ran(cancel, { url: fake.url })).out,
    `cancelled after the decision to swap: hosts go back to 0.0.11
  follow them: lockstep watch shop --env production
`,
  )
  fake.answer(place, environment({ rollout: committed() }))
  const nothing = await ran(cancel, { url: fake.url })
  t.equal(nothing.exitCode, 1)
  t.match(nothing.err, /no rollout of shop in production is open \(nothing-to-cancel\)/)
})

void t.test('recover shows what the hosts attest, and asks which is true', async (t) => {
  const fake = await controller(t)
  const recover = ['controller', 'recover', 'shop', '--env', 'production']
  const path = 'POST /v1/apps/shop/environments/production/recover'
  const view = environment({ hosts: [host('web-1', { apps: [servedApp({ runs: '0.0.12' })] })] })
  fake.answer(place, view)
  fake.answer(
    path,
    { code: 'run-required', message: 'hosts run another release', hint: 'Name it.' },
    409,
  )
  t.same(await ran(recover, { url: fake.url }), {
    exitCode: 1,
    out: `HOST   STATE      APP              RUNS    PHASE    SERVING
web-1  connected  shop production  0.0.12  healthy  yes
`,
    err: 'lockstep: hosts run another release (run-required)\n  Name it.\n',
  })
  fake.answer(path, {
    environment: { ...view, committed: newRelease, fence: { term: 3, epoch: 1 } },
  })
  const done = await ran([...recover, '--run', '0.0.12'], { url: fake.url })
  t.match(
    done.out,
    /^recovered: shop in production is committed to 0\.0\.12 under term 3; hosts converge one by one\n/,
  )
  t.same(JSON.parse(fake.asked.at(-1)?.body.toString() ?? ''), { run: '0.0.12' })
})

void t.test('install and uninstall pass their options on, and need no controller', async (t) => {
  const calls: [string, unknown][] = []
  const report = {
    role: 'agent' as const,
    program: '0.0.1',
    steps: ['wrote a file'],
    notes: ['Mind this.'],
  }
  const noting = (name: string) => async (options: unknown) => {
    calls.push([name, options])
    return name.startsWith('un') ? { ...report, program: null, steps: [], notes: [] } : report
  }
  const services: Services = {
    installAgent: noting('installAgent'),
    installController: noting('installController'),
    uninstallAgent: noting('uninstallAgent'),
    uninstallController: noting('uninstallController'),
  }
  const words = (line: string) => ran(line.split(' '), { services, env: { LOCKSTEP_TOKEN: '' } })
  const install =
    'agent install --controller http://c --app shop --env production --root /srv/shop ' +
    '--name web-1 --join-token-file -'
  t.same(await words(install), {
    exitCode: 0,
    out: 'wrote a file\nthe agent is installed, version 0.0.1\nnote: Mind this.\n',
    err: '',
  })
  await words('agent install --config agent.toml')
  await words('controller install --listen 127.0.0.1:7400 --data /srv/data')
  t.equal(
    (await words('agent uninstall')).out,
    'the agent is not installed; there was nothing to do\n',
  )
  await words('controller uninstall --purge')
  t.match(calls, [
    [
      'installAgent',
      {
        controller: 'http://c',
        app: 'shop',
        environment: 'production',
        root: '/srv/shop',
        name: 'web-1',
        joinTokenFile: '-',
      },
    ],
    ['installAgent', { configFile: 'agent.toml' }],
    ['installController', { listen: '127.0.0.1:7400', data: '/srv/data' }],
    ['uninstallAgent', {}],
    ['uninstallController', { purge: true }],
  ])
  t.same(JSON.parse((await words('agent install --config a --json')).out), report)
})

void t.test('wrong usage says what is wrong and ends in 2', async (t) => {
  const cases: [string, string | RegExp][] = [
    [
      'deplyo shop',
      /^lockstep: unknown command 'deplyo'\n {2}\| \(Did you mean deploy\?\)\n {2}See `lockstep help`/,
    ],
    ['deploy shop 1', /^lockstep: required option '--env <environment>' not specified\n/],
    ['deploy shop --env p', /^lockstep: missing required argument 'version'\n/],
    ['deploy shop 1 --env p --wat', /^lockstep: unknown option '--wat'/],
    ['deploy shop 1 2 --env p', /^lockstep: too many arguments/],
    [
      'deploy shop 1 --env p --wait soon',
      /^lockstep: "soon" is no duration \(bad-usage\)\n {2}Write it like 90s/,
    ],
    ['deploy shop ../1 --env p', /^lockstep: "\.\.\/1" is no version \(bad-name\)\n/],
    [
      'status',
      /^lockstep: it is not said where the controller is \(bad-usage\)\n {2}Set LOCKSTEP_URL/,
    ],
    ['token', /^Usage: lockstep token/],
    ['--url http://c agent', /^lockstep: the agent takes no option of other commands/],
  ]
  for (const [words, message] of cases) {
    const { exitCode, err, out } = await ran(words.split(' '), { env: { LOCKSTEP_URL: '' } })
    t.equal(exitCode, 2, words)
    t.match(err, message, words)
    t.equal(out, '')
  }
})
