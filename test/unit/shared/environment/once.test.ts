// The run that a fleet makes once per release: who makes it, that it is never told twice, and what
// becomes of one that nobody heard the end of. Traces T10 to T13 and T17 among them.

import t from 'tap'
import { limits } from '#shared/limits.ts'
import { Fleet, v1, v2, v3 } from './fleet.ts'

const migration = 'a'.repeat(64)

/** v1 is committed; b and c declare the same once run, a none; v2 is staging. */
function staging(request: Parameters<Fleet['deploy']>[1] = {}): Fleet {
  const fleet = Fleet.committed()
  for (const host of ['b', 'c']) fleet.declares[host] = { once: migration }
  fleet.deploy(v2, request)
  return fleet
}

function preparing(): Fleet {
  const fleet = staging()
  fleet.everybody('ready')
  return fleet
}

function stateOf(fleet: Fleet): string | undefined {
  return fleet.record.once[v2.tree]?.state
}

void t.test('the lowest-named that declares it is told, and nobody swaps', async (t) => {
  const fleet = preparing()
  t.equal(fleet.phase, 'preparing')
  t.same(fleet.decided, ['prepare'])
  t.match(fleet.told('b'), { kind: 'prepare', once: true, stage: v2, run: { release: v1 } })
  for (const host of ['a', 'c']) t.match(fleet.told(host), { once: false, stage: v2 })
  t.match(fleet.record.once[v2.tree], { state: 'told', host: 'b', declaration: migration })
})

void t.test('done, everybody has to be ready again before anybody activates', async (t) => {
  const fleet = preparing()
  fleet.hears('a', 'ready')
  fleet.hears('c', 'ready')
  fleet.runs('b', 'done')
  t.equal(fleet.phase, 'preparing')
  fleet.hears('b', 'ready')
  t.same([fleet.phase, ...fleet.decided], ['activating', 'activate'])
  fleet.everybody('healthy')
  t.equal(fleet.rollout.phase, 'committed')
  t.equal(stateOf(fleet), 'done')
})

void t.test('T17: after the result, whoever is late has one more lease', async (t) => {
  const fleet = preparing()
  fleet.pass(9 * 60_000)
  fleet.runs('b', 'done')
  t.equal(fleet.rollout.deadlineAt, fleet.at + limits.leaseMs)
  for (const host of ['b', 'c']) fleet.hears(host, 'ready')
  fleet.pass(limits.leaseMs - 1)
  for (const host of ['b', 'c']) fleet.hears(host, 'ready')
  fleet.hears('a', 'ready')
  t.equal(fleet.phase, 'activating')
})

void t.test('a run that failed swaps nobody, and may be tried again', async (t) => {
  const fleet = preparing()
  fleet.runs('b', 'failed')
  t.match(fleet.rollout, { phase: 'aborted', reason: 'once-failed' })
  t.match(fleet.record.once[v2.tree], { state: 'failed', message: 'as the test has it' })
  t.equal(fleet.deploy(v2) && fleet.said, 'started')
  fleet.everybody('ready')
  t.equal(fleet.phase, 'preparing')
})

void t.test('T11: once done for a tree, a later rollout of it skips the run', async (t) => {
  const fleet = preparing()
  fleet.runs('b', 'done')
  fleet.cancel()
  t.equal(fleet.rollout.phase, 'aborted')
  t.equal(stateOf(fleet), 'done')
  fleet.deploy(v2)
  fleet.everybody('ready')
  t.equal(fleet.phase, 'activating')
})

void t.test('--once run repeats what is done, once', async (t) => {
  const fleet = preparing()
  fleet.runs('b', 'done')
  fleet.cancel()
  fleet.deploy(v2, { once: 'run' })
  fleet.everybody('ready')
  t.equal(fleet.phase, 'preparing')
  fleet.runs('b', 'done')
  fleet.everybody('ready')
  t.equal(fleet.phase, 'activating')
})

void t.test('a repeat that failed is tried again, though the tree ran here before', async (t) => {
  const fleet = preparing()
  fleet.runs('b', 'done')
  fleet.everybody('ready')
  fleet.cancel()
  fleet.everybody('back')
  fleet.deploy(v2, { once: 'run' })
  fleet.everybody('ready')
  fleet.runs('b', 'failed')
  t.equal(fleet.rollout.phase, 'aborted')
  fleet.deploy(v2)
  fleet.everybody('ready')
  t.equal(fleet.phase, 'preparing')
})

void t.test('--once done skips a run that was made otherwise', async (t) => {
  const fleet = staging({ once: 'done' })
  fleet.everybody('ready')
  t.equal(fleet.phase, 'activating')
  t.match(fleet.record.once[v2.tree], { state: 'done', host: null })
})

for (const [how, end] of Object.entries<(fleet: Fleet) => void>({
  'its deadline': (fleet: Fleet) => {
    fleet.toDeadline()
    fleet.judge()
  },
  'a cancel': (fleet: Fleet) => void fleet.cancel(),
  'the removal of its host': (fleet: Fleet) => void fleet.apply('host-removed', { host: 'b' }),
  'an interruption': (fleet: Fleet) => void fleet.runs('b', 'interrupted'),
})) {
  void t.test(`a run without a result is unknown after ${how}`, async (t) => {
    const fleet = preparing()
    fleet.runs('b', 'running')
    end(fleet)
    t.equal(fleet.rollout.phase, 'aborted')
    t.equal(stateOf(fleet), 'unknown')
    fleet.deploy(v2)
    t.equal(fleet.said, 'once-unknown')
    t.equal(fleet.deploy(v3) && fleet.said, 'started', 'another release is another run')
  })
}

void t.test('T12: it is repeated only when its host says that nothing of it is left', async (t) => {
  const fleet = preparing()
  fleet.runs('b', 'running')
  fleet.toDeadline()
  fleet.judge()
  fleet.deploy(v2, { once: 'run' })
  t.equal(fleet.said, 'once-running')
  fleet.hears('b', 'idle')
  fleet.deploy(v2, { once: 'run' })
  t.equal(fleet.said, 'once-running', 'it still runs')
  t.equal(fleet.deploy(v3) && fleet.said, 'started')
  fleet.cancel()
  const { fence } = fleet.onceRuns['b'] ?? {}
  fleet.runs('b', 'interrupted', fence)
  fleet.deploy(v2, { once: 'run' })
  t.equal(fleet.said, 'started')
})

void t.test('or when that host was removed, or somebody takes it on himself', async (t) => {
  const removed = preparing()
  removed.cancel()
  removed.apply('host-removed', { host: 'b' })
  removed.deploy(v2, { once: 'run' })
  t.equal(removed.said, 'started')
  const forced = preparing()
  forced.cancel()
  forced.deploy(v2, { once: 'run', force: true })
  t.equal(forced.said, 'started')
})

void t.test('a host that never began says so by what it does not hold', async (t) => {
  const fleet = preparing()
  fleet.cancel()
  fleet.hears('b', 'idle')
  fleet.deploy(v2, { once: 'run' })
  t.equal(fleet.said, 'started')
})

void t.test('a late result resolves it', async (t) => {
  const fleet = preparing()
  const fence = fleet.fence
  fleet.cancel()
  t.equal(stateOf(fleet), 'unknown')
  if (fence === null) throw new Error('nothing was decided')
  fleet.runs('b', 'done', fence)
  t.equal(stateOf(fleet), 'done')
  fleet.deploy(v2)
  fleet.everybody('ready')
  t.equal(fleet.phase, 'activating')
})

void t.test('T13: another version has to wait while it runs', async (t) => {
  const fleet = preparing()
  fleet.deploy(v3)
  t.equal(fleet.said, 'rollout-open')
  t.equal(fleet.phase, 'preparing')
})

void t.test('T10: after a restore it is unknown, and nobody starts it a second time', async (t) => {
  const fleet = preparing()
  const { fence } = fleet
  if (fence === null) throw new Error('nothing was decided')
  fleet.runs('b', 'running')
  fleet.hears('c', 'fetching', {
    fence: { ...fence, epoch: fence.epoch + 3, hash: 'e'.repeat(64) },
  })
  t.equal(fleet.phase, 'fenced')
  fleet.recover(null)
  t.equal(stateOf(fleet), 'unknown')
  fleet.deploy(v2)
  t.equal(fleet.said, 'once-unknown')
})

void t.test('a host is the witness of a run that a restored controller forgot', async (t) => {
  const fleet = Fleet.committed()
  const fence = { term: 1, epoch: 99, hash: 'e'.repeat(64) }
  fleet.onceRuns['b'] = { fence, tree: v2.tree, state: 'done', message: null }
  fleet.hears('b', 'idle')
  t.match(fleet.record.once[v2.tree], { state: 'done', host: 'b' })
})

void t.test('two opinions on what to run are no readiness', async (t) => {
  const fleet = staging()
  fleet.declares['c'] = { once: 'c'.repeat(64) }
  fleet.everybody('ready')
  t.equal(fleet.phase, 'staging')
  fleet.declares['c'] = { once: migration }
  fleet.hears('c', 'ready')
  t.equal(fleet.phase, 'preparing')
})

void t.test('going back to what ran before needs no run, unless it is configured so', async (t) => {
  const fleet = preparing()
  fleet.runs('b', 'done')
  fleet.everybody('ready')
  fleet.everybody('healthy')
  t.equal(fleet.record.committed, fleet.rollout.target)
  fleet.deploy(v1)
  fleet.everybody('ready')
  t.equal(fleet.phase, 'activating')
  fleet.cancel()
  fleet.everybody('back')
  fleet.declares['c'] = { once: migration, onceWhenRollingBack: true }
  fleet.declares['b'] = {}
  fleet.deploy(v1)
  fleet.everybody('ready')
  t.equal(fleet.phase, 'preparing')
  t.match(fleet.told('c'), { once: true })
})

void t.test('a controller that was away waits one lease for the word of the elected', async (t) => {
  const fleet = preparing()
  fleet.runs('b', 'running')
  fleet.at += 11 * 60_000
  fleet.restart()
  t.equal(fleet.phase, 'preparing')
  t.equal(fleet.rollout.deadlineAt, fleet.at + limits.leaseMs)
  fleet.runs('b', 'done')
  fleet.everybody('ready')
  t.equal(fleet.phase, 'activating')
})

void t.test('with enough ready at the deadline, the run comes before those', async (t) => {
  const fleet = staging({ requirement: { kind: 'count', value: 2 } })
  fleet.toDeadline()
  for (const host of ['a', 'c']) fleet.hears(host, 'ready')
  fleet.judge()
  t.equal(fleet.phase, 'preparing')
  t.match(fleet.told('c'), { once: true })
  fleet.runs('c', 'done')
  fleet.toDeadline()
  for (const host of ['a', 'c']) fleet.hears(host, 'ready')
  fleet.judge()
  t.equal(fleet.phase, 'activating')
  t.equal(fleet.rollout.participants['b']?.state, 'left-behind')
})

void t.test('a fence that is lifted leaves the run as it was', async (t) => {
  const fleet = preparing()
  const { fence } = fleet
  if (fence === null) throw new Error('nothing was decided')
  const higher = { ...fence, epoch: fence.epoch + 3, hash: 'e'.repeat(64) }
  fleet.hears('c', 'fetching', { fence: higher })
  fleet.runs('b', 'done')
  fleet.apply('host-removed', { host: 'c' })
  t.equal(fleet.phase, 'preparing')
  t.equal(stateOf(fleet), 'done', 'its result was heard meanwhile')
  for (const host of ['a', 'b']) fleet.hears(host, 'ready')
  t.equal(fleet.phase, 'activating')
})

void t.test('what somebody said is done is not undone by the run that it was about', async (t) => {
  const fleet = preparing()
  fleet.runs('b', 'failed')
  fleet.deploy(v2, { once: 'done' })
  fleet.everybody('ready')
  t.equal(stateOf(fleet), 'done')
  t.equal(fleet.phase, 'activating')
  fleet.everybody('healthy')
  t.equal(stateOf(fleet), 'done')
})

void t.test('a run that comes to light while staging is not made again by itself', async (t) => {
  for (const once of [null, 'run' as const]) {
    const fleet = staging({ once })
    fleet.at += 1000
    const fence = { term: 1, epoch: 1, hash: 'e'.repeat(64) }
    const run = { fence, tree: v2.tree, state: 'interrupted' as const, message: null }
    fleet.onceRuns['c'] = run
    fleet.everybody('ready')
    t.match(fleet.rollout, { phase: 'aborted', reason: 'once-unknown' })
    t.equal(stateOf(fleet), 'unknown')
    fleet.deploy(v2)
    t.equal(fleet.said, 'once-unknown')
  }
})

void t.test('who declares it otherwise is no more ready after it than before', async (t) => {
  const fleet = staging({ requirement: { kind: 'count', value: 2 } })
  fleet.declares['c'] = { once: 'b'.repeat(64) }
  fleet.toDeadline()
  fleet.everybody('ready')
  fleet.judge()
  t.equal(fleet.phase, 'preparing')
  fleet.runs('b', 'done')
  fleet.everybody('ready')
  t.equal(fleet.phase, 'preparing')
  fleet.toDeadline()
  fleet.everybody('ready')
  fleet.judge()
  t.match(fleet.record.decision, { kind: 'activate', counted: ['a', 'b'] })
})

void t.test('enough hosts without any that declares it are not enough', async (t) => {
  const fleet = Fleet.committed()
  fleet.declares['c'] = { once: migration }
  fleet.deploy(v2, { requirement: { kind: 'count', value: 2 } })
  fleet.hears('c', 'fetching')
  fleet.toDeadline()
  for (const host of ['a', 'b']) fleet.hears(host, 'ready')
  fleet.judge()
  t.match(fleet.rollout, { phase: 'aborted', reason: 'stage-deadline' })
  fleet.deploy(v2, { requirement: { kind: 'count', value: 2 }, once: 'done' })
  fleet.hears('c', 'fetching')
  fleet.toDeadline()
  for (const host of ['a', 'b']) fleet.hears(host, 'ready')
  fleet.judge()
  t.equal(fleet.phase, 'activating', 'unless somebody says that it was done')
})
