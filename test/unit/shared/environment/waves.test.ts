// Waves: each a barrier whose decision has its own epoch, with a rest, a pause or a way back between.
// Traces T6 and T18 among them.

import t from 'tap'
import type { WaveRequest } from '#shared/environment/events.ts'
import { planWaves } from '#shared/environment/waves.ts'
import { limits } from '#shared/limits.ts'
import { Fleet, v1, v2 } from './fleet.ts'

const canary = (soakMs: number | null): WaveRequest => ({
  name: 'canary',
  hosts: { kind: 'count', value: 1 },
  soakMs,
})

/** a has activated v2 as the first wave and is healthy. */
function afterCanary(soakMs: number | null, request: Parameters<Fleet['deploy']>[1] = {}): Fleet {
  const fleet = Fleet.committed()
  fleet.deploy(v2, { waves: [canary(soakMs)], ...request })
  fleet.everybody('ready')
  fleet.hears('a', 'healthy')
  return fleet
}

/** What each host would be told to run, in the order of their names. */
function runsOf(fleet: Fleet): readonly (string | undefined)[] {
  return ['a', 'b', 'c'].map((host) => fleet.told(host)?.run.release?.version)
}

void t.test('all hosts of all waves are ready before the first', async (t) => {
  const fleet = Fleet.committed()
  fleet.deploy(v2, { waves: [canary(null)] })
  for (const host of ['a', 'b']) fleet.hears(host, 'ready')
  t.equal(fleet.phase, 'staging')
  fleet.hears('c', 'ready')
  t.equal(fleet.phase, 'activating')
  t.same(runsOf(fleet), ['v2', 'v1', 'v1'])
  t.match(fleet.told('b'), { kind: 'activate', stage: v2 }, 'and stays ready')
  t.match(fleet.record.decision, { wave: 0, counted: ['a'] })
})

void t.test('without a rest it waits until somebody lets it go on', async (t) => {
  const fleet = afterCanary(null)
  t.match(fleet.rollout, { phase: 'verifying', wave: 0, between: { step: 'pause' } })
  for (const host of ['b', 'c']) fleet.hears(host, 'ready')
  t.equal(fleet.phase, 'verifying')
  fleet.goOn()
  t.equal(fleet.said, 'continued')
  t.match(fleet.rollout, { phase: 'activating', wave: 1 })
  t.match(fleet.record.decision, { wave: 1, counted: ['a', 'b', 'c'] })
  t.same(runsOf(fleet), ['v2', 'v2', 'v2'])
  fleet.everybody('healthy')
  t.equal(fleet.rollout.phase, 'committed')
})

void t.test('hosts of earlier waves attest again under the new epoch', async (t) => {
  const fleet = afterCanary(null)
  fleet.goOn()
  for (const host of ['b', 'c']) fleet.hears(host, 'ready')
  for (const host of ['b', 'c']) fleet.hears(host, 'healthy')
  t.equal(fleet.phase, 'activating')
  fleet.hears('a', 'healthy')
  t.equal(fleet.rollout.phase, 'committed')
})

void t.test('a rest ends by itself', async (t) => {
  const fleet = afterCanary(60_000)
  t.match(fleet.rollout.between, { step: 'soak' })
  fleet.pass(59_999)
  t.match(fleet.rollout.between, { step: 'soak' })
  fleet.pass(1)
  t.match(fleet.rollout.between, { step: 'barrier' })
  for (const host of ['b', 'c']) fleet.hears(host, 'ready')
  t.equal(fleet.phase, 'verifying', 'nobody knows what became of a')
  fleet.hears('a', 'healthy')
  t.equal(fleet.phase, 'activating')
})

void t.test('a rest can be held up, and let go on', async (t) => {
  const fleet = afterCanary(60_000)
  fleet.pause()
  t.equal(fleet.said, 'paused')
  fleet.pass(120_000)
  t.match(fleet.rollout.between, { step: 'pause' })
  fleet.goOn()
  t.match(fleet.rollout.between, { step: 'barrier' })
})

void t.test('who fails while the canary rests takes it back', async (t) => {
  const fleet = afterCanary(60_000)
  fleet.hears('a', 'failed')
  t.match(fleet.rollout, { phase: 'rolling-back', reason: 'host-failed', between: null })
  t.same(runsOf(fleet), ['v1', 'v1', 'v1'])
  fleet.hears('a', 'back')
  t.equal(fleet.rollout.phase, 'rolled-back', 'nobody waits for those that never swapped')
})

void t.test(
  'T18: the second barrier has its own deadline, however long the pause was',
  async (t) => {
    const fleet = afterCanary(null)
    fleet.pass(50 * 60_000)
    fleet.goOn()
    t.equal(fleet.rollout.deadlineAt, fleet.at + limits.waveDeadlineMs)
    fleet.pass(limits.waveDeadlineMs - 1)
    fleet.hears('a', 'healthy')
    for (const host of ['b', 'c']) fleet.hears(host, 'ready')
    t.equal(fleet.phase, 'activating')
    t.equal(fleet.rollout.deadlineAt, fleet.at + limits.activationDeadlineMs)
  },
)

void t.test('nobody who lets it go on within the hour takes it back', async (t) => {
  const fleet = afterCanary(null)
  fleet.pass(limits.pauseDeadlineMs)
  t.match(fleet.rollout, { phase: 'rolling-back', reason: 'pause-deadline' })
})

void t.test('a wave that is not ready in its time takes all back', async (t) => {
  const fleet = afterCanary(null)
  fleet.goOn()
  fleet.toDeadline()
  for (const [host, word] of [
    ['a', 'healthy'],
    ['b', 'ready'],
  ] as const)
    fleet.hears(host, word)
  fleet.judge()
  t.match(fleet.rollout, { phase: 'rolling-back', reason: 'wave-deadline' })
})

void t.test('a canary that is not heard any more is lost, and nobody follows it', async (t) => {
  const fleet = afterCanary(60_000)
  fleet.apply('session-closed', { host: 'a', session: 1 })
  fleet.pass(60_000)
  for (const host of ['b', 'c']) fleet.hears(host, 'ready')
  t.equal(fleet.phase, 'verifying')
  fleet.toDeadline()
  for (const host of ['b', 'c']) fleet.hears(host, 'ready')
  fleet.judge()
  t.match(fleet.rollout, { phase: 'rolling-back', reason: 'verify-deadline' })
  t.same(runsOf(fleet), ['v1', 'v1', 'v1'])
})

void t.test('or only those that are late are left behind, where enough remain', async (t) => {
  const fleet = afterCanary(null, { requirement: { kind: 'count', value: 2 } })
  fleet.goOn()
  fleet.toDeadline()
  fleet.hears('a', 'healthy')
  fleet.hears('b', 'ready')
  fleet.judge()
  t.equal(fleet.phase, 'activating')
  t.equal(fleet.rollout.participants['c']?.state, 'left-behind')
  for (const host of ['a', 'b']) fleet.hears(host, 'healthy')
  t.equal(fleet.rollout.phase, 'committed')
})

void t.test('T6: a wave whose only host is removed is skipped', async (t) => {
  const fleet = Fleet.committed()
  const waves = ['a', 'b'].map(
    (host): WaveRequest => ({
      name: host,
      hosts: { kind: 'hosts', hosts: [host] },
      soakMs: 0,
    }),
  )
  fleet.deploy(v2, { waves })
  fleet.everybody('ready')
  fleet.apply('host-removed', { host: 'b' })
  fleet.hears('a', 'healthy')
  fleet.hears('c', 'ready')
  t.match(fleet.record.decision, { kind: 'activate', wave: 2, counted: ['a', 'c'] })
})

void t.test('with nobody left in any later wave it commits', async (t) => {
  const fleet = afterCanary(null)
  for (const host of ['b', 'c']) fleet.apply('host-removed', { host })
  t.match(fleet.rollout, { phase: 'committed', between: null })
})

void t.test('a loss in any wave is a loss of the rollout', async (t) => {
  const fleet = afterCanary(null, { requirement: { kind: 'count', value: 3 } })
  fleet.apply('host-removed', { host: 'c' })
  t.match(fleet.rollout, { phase: 'rolling-back', reason: 'host-removed' })
})

void t.test('after a restart the rest is judged one lease later', async (t) => {
  const fleet = afterCanary(60_000)
  fleet.at += 120_000
  fleet.restart()
  t.match(fleet.rollout, { phase: 'verifying', between: { step: 'soak' } })
  fleet.pass(limits.leaseMs)
  t.match(fleet.rollout.between, { step: 'barrier' })
})

void t.test('waves are planned by name, and what is left over comes last', async (t) => {
  const members = ['d', 'b', 'a', 'c'].map((name) => ({ host: `host-${name}`, name }))
  const plan = planWaves(members, [
    { name: 'first', hosts: { kind: 'percent', value: 25 }, soakMs: 5 },
    { name: 'named', hosts: { kind: 'hosts', hosts: ['host-d', 'host-a'] }, soakMs: null },
  ])
  t.match(plan, {
    outcome: 'planned',
    waves: [{ name: 'first' }, { name: 'named', soakMs: null }, { name: null }],
    waveOf: { 'host-a': 0, 'host-d': 1, 'host-b': 2, 'host-c': 2 },
  })
  const none = { name: null, hosts: { kind: 'hosts', hosts: ['host-x'] }, soakMs: null } as const
  t.same(planWaves(members, [none]), { outcome: 'empty', wave: 0 })
})

void t.test('a wave that selects nobody is refused before anything', async (t) => {
  const fleet = Fleet.committed()
  const hosts = { kind: 'hosts', hosts: ['x'] } as const
  fleet.deploy(v2, { waves: [{ name: 'web', hosts, soakMs: 0 }] })
  t.equal(fleet.said, 'nobody-selected')
  t.equal(fleet.phase, 'settled')
  t.same(runsOf(fleet), [v1.version, v1.version, v1.version])
})

void t.test('who leaves while staging and comes back is in its wave again', async (t) => {
  const fleet = Fleet.committed()
  fleet.deploy(v2, { waves: [canary(null)] })
  fleet.apply('host-removed', { host: 'a' })
  fleet.apply('host-joined', { host: 'a', name: 'a' })
  fleet.everybody('ready')
  t.match(fleet.record.decision, { wave: 0, counted: ['a'] })
})

void t.test('without a rest, the last word of a wave opens the next at once', async (t) => {
  const fleet = Fleet.committed()
  fleet.deploy(v2, { waves: [canary(0)] })
  fleet.everybody('ready')
  for (const host of ['b', 'c']) fleet.hears(host, 'ready')
  fleet.hears('a', 'healthy')
  t.match(fleet.rollout, { phase: 'activating', wave: 1 })
})

void t.test('a canary that began anew passes its gate again before the next wave', async (t) => {
  const fleet = afterCanary(60_000)
  fleet.hears('a', 'active')
  for (const host of ['b', 'c']) fleet.hears(host, 'ready')
  fleet.goOn()
  t.match(fleet.rollout, { phase: 'verifying', between: { step: 'barrier' } })
  fleet.hears('a', 'healthy')
  t.match(fleet.rollout, { phase: 'activating', wave: 1 })
})

void t.test('and before it is committed alone, where nobody of a later wave is left', async (t) => {
  const fleet = afterCanary(60_000)
  fleet.hears('a', 'active')
  for (const host of ['b', 'c']) fleet.apply('host-removed', { host })
  fleet.pass(60_000)
  t.equal(fleet.phase, 'verifying')
  fleet.hears('a', 'healthy')
  t.equal(fleet.rollout.phase, 'committed')
})

void t.test('one that is not healthy by then is a loss', async (t) => {
  for (const requirement of [null, { kind: 'count' as const, value: 2 }]) {
    const fleet = Fleet.committed()
    const hosts = { kind: 'count' as const, value: 2 }
    const waves = [{ name: 'canary', hosts, soakMs: null }]
    fleet.deploy(v2, { waves, ...(requirement === null ? {} : { requirement }) })
    fleet.everybody('ready')
    for (const host of ['a', 'b']) fleet.hears(host, 'healthy')
    fleet.hears('a', 'active')
    fleet.goOn()
    fleet.toDeadline()
    fleet.hears('b', 'healthy')
    fleet.hears('c', 'ready')
    fleet.judge()
    if (requirement === null) t.match(fleet.rollout, { reason: 'verify-deadline' })
    else t.match(fleet.record.decision, { kind: 'activate', wave: 1, counted: ['b', 'c'] })
  }
})

void t.test('asked to go on twice, the barrier lasts no longer', async (t) => {
  const fleet = afterCanary(null)
  fleet.goOn()
  const { deadlineAt } = fleet.rollout
  fleet.at += 60_000
  fleet.goOn()
  t.equal(fleet.said, 'continued')
  t.equal(fleet.rollout.deadlineAt, deadlineAt)
})
