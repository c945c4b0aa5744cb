// What an operator decides about environments and says about how rollouts go, by the command: what it asks
// of a controller of the test's, and what it prints.

import t, { type Test } from 'tap'
import type { PlanView } from '#shared/api/plan.ts'
import { FakeController } from './cli-fake-controller.ts'
import { ran } from './cli-run.ts'
import {
  committed,
  environment,
  host,
  hostIdOf,
  newRelease,
  oldRelease,
  release,
  rollout,
  servedApp,
  startedAt,
} from './cli-views.ts'

const base = '/v1/apps/shop/environments/production'
const at = ['--env', 'production']

async function controller(t: Test): Promise<FakeController> {
  const fake = await new FakeController().start()
  t.teardown(() => fake.stop())
  return fake
}

function bodyOf(fake: FakeController): unknown {
  return JSON.parse(fake.asked.at(-1)?.body.toString() ?? '')
}

const freeze = { reason: 'the sale', owner: 'ana', by: 'token-1', at: startedAt }

void t.test('freeze and unfreeze say what holds from now on', async (t) => {
  const fake = await controller(t)
  fake.answer(`POST ${base}/freeze`, { freeze, requires: null, approvals: 0 })
  const frozen = await ran(
    ['freeze', 'shop', ...at, '--reason', ' the sale ', '--owner', 'ana'],
    fake,
  )
  t.same(bodyOf(fake), { reason: 'the sale', owner: 'ana' })
  t.match(frozen, { exitCode: 0, out: /^frozen: nobody starts a rollout of shop in production\n/ })
  fake.answer(`GET ${base}`, environment({ freeze }))
  fake.answer(`DELETE ${base}/freeze`, { freeze: null, requires: null, approvals: 0 })
  const unfrozen = await ran(['unfreeze', 'shop', ...at], fake)
  t.equal(unfrozen.out, 'unfrozen: it was frozen by ana since 2026-11-23 14:03:22: the sale\n')
  fake.answer(`GET ${base}`, environment())
  t.match(await ran(['unfreeze', 'shop', ...at], fake), { exitCode: 0, out: /was not frozen/ })
  const json = await ran(['unfreeze', 'shop', ...at, '--json'], fake)
  t.same(JSON.parse(json.out), { freeze: null, requires: null, approvals: 0 })
  t.match(await ran(['freeze', 'shop', ...at], fake), { exitCode: 2, err: /--reason/ })
  t.match(await ran(['freeze', 'shop', ...at, '--reason', ' '], fake), { exitCode: 2 })
})

void t.test('environment set requires, and no longer requires', async (t) => {
  const fake = await controller(t)
  const set = ['environment', 'set', 'shop', ...at]
  fake.answer(`PUT ${base}/settings`, { freeze: null, requires: 'staging', approvals: 0 })
  const required = await ran([...set, '--requires', 'staging', '--reason', 'four eyes'], fake)
  t.same(bodyOf(fake), { requires: 'staging', reason: 'four eyes' })
  t.match(required.out, /takes only releases that were committed in staging/)
  fake.answer(`PUT ${base}/settings`, { freeze: null, requires: null, approvals: 0 })
  t.match(await ran([...set, '--no-requires'], fake), { out: /takes any release/ })
  t.same(bodyOf(fake), { requires: null })
  t.match(await ran(set, fake), { exitCode: 2, err: /nothing is set/ })
})

void t.test('promote names the release that moves', async (t) => {
  const fake = await controller(t)
  const answer = { outcome: 'started', release: newRelease, rollout: committed() }
  fake.answer(`POST ${base}/promote`, { ...answer, notes: ['0.0.12 failed here before'] }, 202)
  const promote = ['promote', 'shop', '--from', 'staging', '--to', 'production']
  const done = await ran([...promote, '--canary', '10%', '--soak', '5m'], fake)
  t.same(bodyOf(fake), {
    from: 'staging',
    waves: [{ name: 'canary', percent: 10, soakMs: 300_000 }],
  })
  t.equal(fake.asked.at(-1)?.headers['idempotency-key'], 'key-1')
  t.equal(done.exitCode, 0)
  t.match(done.out, /note: 0\.0\.12 failed here before\n/)
  t.match(done.out, /the release is 0\.0\.12, tree bbbbbbbbbbbb\n/)
  const refusal = { code: 'not-promotable', message: 'nothing is committed in staging yet' }
  fake.answer(`POST ${base}/promote`, refusal, 409)
  t.match(await ran(promote, fake), { exitCode: 1, err: /nothing is committed in staging yet/ })
  t.match(await ran(['promote', 'shop', '--to', 'production'], fake), {
    exitCode: 2,
    err: /--from/,
  })
})

void t.test('deploy says waves, labels and the once run', async (t) => {
  const fake = await controller(t)
  fake.answer('PUT /v1/apps/shop/environments/production/desired', {
    outcome: 'started',
    rollout: rollout(),
  })
  const deploy = ['deploy', 'shop', '0.0.12', ...at, '--no-wait']
  const policy = ['--on', 'role=web,zone=a', '--on', 'role=db', '--once', 'run', '--force']
  await ran([...deploy, ...policy, '--wave', 'a=1', '--wave', 'b=role=web:0'], fake)
  t.same(bodyOf(fake), {
    version: '0.0.12',
    on: ['role=web,zone=a', 'role=db'],
    waves: [
      { name: 'a', count: 1 },
      { name: 'b', label: 'role=web', soakMs: 0 },
    ],
    once: 'run',
    force: true,
  })
  for (const wrong of [['--soak', '5m'], ['--force'], ['--once', 'maybe'], ['--canary', '0']]) {
    t.match(await ran([...deploy, ...wrong], fake), { exitCode: 2 }, wrong.join(' '))
  }
  t.equal(fake.asked.length, 1, 'what is wrong was not asked')
})

void t.test('continue and pause concern the rollout that is open', async (t) => {
  const fake = await controller(t)
  const waiting = rollout({
    phase: 'verifying',
    between: { step: 'pause', since: startedAt },
    deadlineAt: startedAt + 3_600_000,
  })
  fake.answer(`GET ${base}`, environment({ rollout: waiting }))
  fake.answer('POST /v1/rollouts/r-1/continue', { outcome: 'continued', rollout: waiting })
  fake.answer('POST /v1/rollouts/r-1/pause', { outcome: 'paused', rollout: waiting })
  t.match(await ran(['continue', 'shop', ...at], fake), {
    exitCode: 0,
    out: /^continued: .*\n {2}follow it: lockstep watch shop --env production\n$/,
  })
  t.match(await ran(['pause', 'shop', ...at], fake), { out: /goes back by itself in 1 h 00 min/ })
  fake.answer('POST /v1/rollouts/r-1/pause', { outcome: 'paused', rollout: rollout() })
  t.match(await ran(['pause', 'shop', ...at], fake), { out: /waits once this wave is healthy/ })
  fake.answer(`GET ${base}`, environment({ rollout: committed() }))
  t.match(await ran(['continue', 'shop', ...at], fake), { exitCode: 1, err: /not-waiting/ })
})

void t.test('hosts are drained, let in again and chosen by label', async (t) => {
  const fake = await controller(t)
  const drained = host('web-2', { apps: [servedApp({ drained: 'new disks' })] })
  const labelled = host('web-1', { labels: { zone: 'a', role: 'web' } })
  fake.answer('GET /v1/hosts', { items: [labelled, drained], next: null })
  const url = `/v1/hosts/${hostIdOf('web-2')}/drain`
  fake.answer(`POST ${url}`, drained)
  fake.answer(`DELETE ${url}`, host('web-2'))
  const out = await ran(['hosts', 'drain', 'web-2', '--reason', 'new disks'], fake)
  t.same(bodyOf(fake), { reason: 'new disks' })
  t.match(out, { exitCode: 0, out: /^drained web-2: new disks\n {2}.*undrain web-2\n$/ })
  t.match(await ran(['hosts', 'undrain', 'web-2'], fake), { out: /^let in web-2: / })
  t.match(await ran(['hosts', 'undrain', 'web-9'], fake), { exitCode: 1, err: /no host web-9/ })
  const list = await ran(['hosts', '--label', 'role=web,zone=a'], fake)
  t.equal(fake.asked.at(-1)?.url, '/v1/hosts?label=role%3Dweb%2Czone%3Da')
  t.match(list.out, /SERVING {2}LABELS\n/)
  t.match(list.out, /^web-1 .*role=web, zone=a$/m)
  t.match(list.out, /^web-2 .*healthy, drained: new disks /m)
  fake.answer('GET /v1/hosts', { items: [], next: null })
  t.match(await ran(['hosts', '--label', 'role=db'], fake), { err: /no host has role=db/ })
  t.match(await ran(['hosts', '--label', 'db'], fake), { exitCode: 2 })
})

void t.test('hosts show whether they let unsigned releases in', async (t) => {
  const fake = await controller(t)
  const judging = (policy: 'require' | 'warn' | 'off' | 'none' | 'broken', note: string | null) =>
    servedApp({ trust: { policy, note } })
  const policies = [judging('require', null), judging('warn', 'not signed'), judging('none', null)]
  const apps = [...policies, judging('broken', 'trust.json: no JSON'), servedApp()]
  fake.answer('GET /v1/hosts', { items: [host('web-1', { apps })], next: null })
  const { out } = await ran(['hosts'], fake)
  t.match(out, /SERVING {2}UNSIGNED\n/)
  for (const cell of ['refused', 'allowed, warned of', 'allowed', 'refused, all that is new']) {
    t.match(out, new RegExp(`yes +${cell}\\s*$`, 'm'))
  }
  t.match(out, /yes +unknown$/m)
  t.match(out, /^web-1, shop in production, trust file: not signed$/m)
  t.match(out, /^web-1, shop in production, trust file: trust\.json: no JSON$/m)
})

void t.test('hosts names those whose sessions are bound to no TLS connection', async (t) => {
  const fake = await controller(t)
  const bindings = ['bound', 'unbound', 'plain'] as const
  const items = bindings.map((binding) => host(binding, { channel: { binding, pins: [] } }))
  fake.answer('GET /v1/hosts', { items: [...items, host('away', { channel: null })], next: null })
  const { out } = await ran(['hosts'], fake)
  t.match(out, /^unbound: a proxy ends its TLS/m)
  t.notMatch(out, /^(?:bound|plain|away): /m)
})

void t.test('what failed and what is frozen is shown wherever it matters', async (t) => {
  const fake = await controller(t)
  const mark = { environment: 'production', rollout: 'r-0', at: startedAt, reason: 'host-failed' }
  const view = environment({
    freeze,
    requires: 'staging',
    failed: [{ release: newRelease, mark }],
    rollout: committed(),
  })
  fake.answer(`GET ${base}`, view)
  const { out } = await ran(['status', 'shop', ...at], fake)
  t.match(out, /frozen by ana since 2026-11-23 14:03:22: the sale\n/)
  t.match(out, /unfreeze shop --env production\n/)
  t.match(out, /requires +that a release was committed in staging first\n/)
  t.match(out, /failed +0\.0\.12\n/)
  const app = { app: 'shop', environments: ['production'], releases: 2 }
  fake.answer('GET /v1/apps', { items: [app], next: null })
  t.match(await ran(['status'], fake), { out: /frozen, committed/ })
  const items = [committed({ targetFailed: mark }), committed({ id: 'r-0', targetFailed: null })]
  fake.answer(`GET ${base}/rollouts`, { items, next: null })
  t.match(await ran(['history', 'shop', ...at], fake), { out: /0\.0\.12 \(failed\)/ })
  const releases = [{ ...release('0.0.12', 2), failed: [mark] }, release('0.0.11', 1)]
  fake.answer('GET /v1/apps/shop/releases', { items: releases, next: null })
  t.match(await ran(['releases', 'shop'], fake), {
    out: /^0\.0\.12 .*bbbbbbbbbbbb {2}no {6}production$/m,
  })
})

void t.test('history tells what people decided too', async (t) => {
  const fake = await controller(t)
  const fact = {
    id: 7,
    at: startedAt,
    app: 'shop',
    environment: 'production',
    type: 'frozen',
    rollout: null,
    host: null,
    text: 'frozen by ana (token-1): the sale',
  }
  fake.answer('GET /v1/facts', { items: [fact], next: null })
  const { out } = await ran(['history', 'shop', ...at, '--facts'], fake)
  t.equal(fake.asked.at(-1)?.url, '/v1/facts?app=shop&environment=production&order=newest')
  t.equal(
    out,
    `AT                   WHAT    FACT
2026-11-23 14:03:22  frozen  frozen by ana (token-1): the sale
`,
  )
})

const plan: PlanView = {
  app: 'shop',
  environment: 'production',
  release: newRelease,
  outcome: 'started',
  refusal: null,
  supersedes: null,
  fallback: oldRelease,
  require: '50%',
  hostsMin: 2,
  waves: [
    { name: 'canary', soakMs: 600_000 },
    { name: null, soakMs: 0 },
  ],
  hosts: ['web-1', 'web-2', 'web-3'].map((name, index) => ({
    host: hostIdOf(name),
    name,
    wave: index === 0 ? 0 : 1,
    phase: index === 2 ? 'unknown' : 'healthy',
    runs: index === 2 ? null : '0.0.11',
    fetch: index === 2 ? null : { bytes: 1_200_000, files: 12 },
  })),
  excluded: [{ host: hostIdOf('web-4'), name: 'web-4', reason: 'not selected by role=web' }],
  drained: [{ host: hostIdOf('web-5'), name: 'web-5', reason: 'new disks' }],
  once: { host: hostIdOf('web-1'), name: 'web-1' },
  notes: ['0.0.12 failed in production before (host-failed, r-0)'],
}

void t.test('plan says what a deploy would do', async (t) => {
  const fake = await controller(t)
  fake.answer(`POST ${base}/plan`, plan)
  const ask = ['plan', 'shop', '0.0.12', ...at]
  const told = await ran([...ask, '--require', '50%', '--canary', '1', '--soak', '10m'], fake)
  t.same(bodyOf(fake), {
    version: '0.0.12',
    require: '50%',
    waves: [{ name: 'canary', count: 1, soakMs: 600_000 }],
  })
  t.equal(told.exitCode, 0)
  t.equal(
    told.out,
    `would start: a rollout of shop 0.0.12 in production
  goes back to  0.0.11
  barrier       needs 2 of 3 hosts (50%)
  wave 1        canary: web-1; then rests 10 min 00 s
  wave 2        web-2 and web-3
  once          web-1 makes the once run first
  excluded      web-4: not selected by role=web
  drained       web-5: new disks
  fetches       at most 2.4 MB before compression; not known of 1 host
note: 0.0.12 failed in production before (host-failed, r-0)
HOST   WAVE  STATE    RUNS     FETCHES
web-1  1     healthy  0.0.11   1.2 MB, 12 files
web-2  2     healthy  0.0.11   1.2 MB, 12 files
web-3  2     unknown  unknown  unknown
`,
  )
  t.same(JSON.parse((await ran([...ask, '--json'], fake)).out), plan)
})

void t.test('plan ends in 1 where the deploy would be refused, and says why', async (t) => {
  const fake = await controller(t)
  const refusal = { code: 'frozen', message: 'frozen by ana: the sale', hint: 'Ask ana.' }
  fake.answer(`POST ${base}/plan`, {
    ...plan,
    outcome: 'refused',
    refusal,
    hosts: [],
    waves: [],
    excluded: [],
    drained: [],
    once: null,
    notes: [],
  })
  t.same(await ran(['plan', 'shop', '0.0.12', ...at], fake), {
    exitCode: 1,
    out: `would be refused: shop 0.0.12 in production
  frozen by ana: the sale (frozen)
  what to do: Ask ana.
`,
    err: '',
  })
})
