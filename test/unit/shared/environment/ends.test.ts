// After an activate decision there are three ends, and each of them is the truth (ARCHITECTURE.md,
// "The three ends").

import t from 'tap'
import type { RequestedRequirement } from '#shared/environment/events.ts'
import { exitCodeOf } from '#shared/environment/rollout.ts'
import { limits } from '#shared/limits.ts'
import { Fleet, v1, v2 } from './fleet.ts'

function activating(requirement?: RequestedRequirement): Fleet {
  const fleet = Fleet.committed()
  fleet.deploy(v2, requirement === undefined ? {} : { requirement })
  fleet.everybody('ready')
  return fleet
}

/** Nothing is committed yet. */
function firstActivating(): Fleet {
  const fleet = new Fleet()
  fleet.deploy(v1)
  fleet.everybody('ready')
  return fleet
}

const count = (value: number) => ({ kind: 'count', value }) as const

void t.test(
  'committed: every counted host has attested the new release and is healthy',
  async (t) => {
    const fleet = activating()
    fleet.everybody('active')
    t.equal(fleet.phase, 'verifying')
    fleet.hears('a', 'healthy')
    fleet.hears('b', 'healthy')
    t.equal(fleet.phase, 'verifying')
    fleet.hears('c', 'healthy')
    t.equal(fleet.rollout.phase, 'committed')
    t.equal(exitCodeOf(fleet.rollout), 0)
    t.same(fleet.record.committed, v2)
    t.same(fleet.record.desired, v2)
    t.equal(fleet.record.decision?.kind, 'settle')
  },
)

void t.test('hosts that are healthy at once need no second word', async (t) => {
  const fleet = activating()
  fleet.everybody('healthy')
  t.equal(fleet.rollout.phase, 'committed')
})

void t.test('one failure on a counted host takes all of them back', async (t) => {
  for (const phase of ['activating', 'verifying'] as const) {
    const fleet = activating()
    if (phase === 'verifying') fleet.everybody('active')
    fleet.hears('b', 'failed')
    t.equal(fleet.phase, 'rolling-back', phase)
    t.equal(fleet.rollout.reason, 'host-failed')
    const started = fleet.last.facts.find((fact) => fact.type === 'roll-back-started')
    t.same(started?.hosts, ['b'])
    t.same(fleet.told('a')?.run, { release: v1, fallback: v1, activateAt: null })
  }
})

void t.test('a failure on a host that was left behind takes nobody back', async (t) => {
  const fleet = Fleet.committed()
  fleet.deploy(v2, { requirement: count(2) })
  fleet.toDeadline()
  fleet.hears('a', 'ready')
  fleet.hears('b', 'ready')
  fleet.judge()
  fleet.hears('c', 'failed')
  t.equal(fleet.phase, 'activating')
})

void t.test(
  'rolled-back: every counted host attests the fallback under the roll back',
  async (t) => {
    const fleet = activating()
    fleet.hears('a', 'failed')
    for (const host of ['a', 'b', 'c']) {
      t.equal(fleet.phase, 'rolling-back')
      fleet.hears(host, 'back')
    }
    t.equal(fleet.rollout.phase, 'rolled-back')
    t.equal(exitCodeOf(fleet.rollout), 3)
    t.same(fleet.record.committed, v1)
    t.same(fleet.record.desired, v1)
  },
)

void t.test('a roll back ends at its deadline with those named that did not attest', async (t) => {
  const fleet = activating()
  fleet.cancel()
  fleet.hears('a', 'back')
  fleet.pass(limits.rollBackDeadlineMs - 1)
  t.equal(fleet.phase, 'rolling-back')
  fleet.pass(1)
  t.equal(fleet.rollout.phase, 'rolled-back')
  t.same(fleet.rollout.unknown, ['b', 'c'])
  t.equal(exitCodeOf(fleet.rollout), 5)
})

void t.test('an attest of before the roll back does not end it', async (t) => {
  const fleet = firstActivating()
  const late = fleet.reported('a', 'back')
  fleet.cancel()
  fleet.hears('b', 'back')
  fleet.hears('c', 'back')
  fleet.apply('host-reported', late)
  t.equal(fleet.phase, 'rolling-back')
  fleet.hears('a', 'back')
  t.equal(fleet.rollout.phase, 'rolled-back')
})

void t.test('being healthy on the target does not end a roll back', async (t) => {
  const fleet = activating()
  fleet.cancel()
  fleet.everybody('healthy')
  t.equal(fleet.phase, 'rolling-back')
})

void t.test('failed: a host that has nothing to go back to keeps what it runs', async (t) => {
  const fleet = firstActivating()
  fleet.hears('a', 'failed')
  fleet.hears('a', 'back')
  fleet.hears('b', 'back')
  fleet.hears('c', 'kept')
  t.equal(fleet.rollout.phase, 'failed')
  t.equal(exitCodeOf(fleet.rollout), 1)
  t.equal(fleet.record.committed, null)
  t.equal(fleet.record.desired, null)
})

void t.test('lost hosts at a deadline take all back, unless the rest is enough', async (t) => {
  for (const [requirement, phase, exitCode] of [
    [undefined, 'rolling-back', null],
    [count(3), 'rolling-back', null],
    [count(2), 'committed', 0],
    [{ kind: 'percent', value: 67 } as const, 'rolling-back', null],
    [{ kind: 'percent', value: 66 } as const, 'committed', 0],
  ] as const) {
    const fleet = activating(requirement)
    fleet.hears('a', 'active')
    fleet.hears('b', 'active')
    fleet.pass(limits.activationDeadlineMs)
    fleet.hears('a', 'healthy')
    fleet.hears('b', 'healthy')
    t.equal(fleet.rollout.phase, phase, JSON.stringify(requirement))
    t.equal(exitCodeOf(fleet.rollout), exitCode)
  }
})

void t.test('a host that is dropped is named by an event, with the reason', async (t) => {
  const fleet = activating(count(2))
  fleet.hears('a', 'healthy')
  fleet.hears('b', 'healthy')
  fleet.pass(limits.activationDeadlineMs)
  const dropped = fleet.facts.find((fact) => fact.type === 'host-dropped')
  t.equal(dropped?.host, 'c')
  t.equal(dropped?.reason, 'activation-deadline')
  t.equal(fleet.rollout.participants['c']?.state, 'dropped')
  t.equal(fleet.rollout.phase, 'committed')
})

void t.test('a dropped host that comes back healthy changes nothing any more', async (t) => {
  const fleet = activating(count(2))
  fleet.hears('a', 'active')
  fleet.hears('b', 'active')
  fleet.pass(limits.activationDeadlineMs)
  fleet.hears('c', 'healthy')
  t.equal(fleet.rollout.participants['c']?.state, 'dropped')
  t.equal(fleet.phase, 'verifying')
})

void t.test('a roll back asks those again that were dropped before it', async (t) => {
  const fleet = activating(count(2))
  fleet.hears('a', 'active')
  fleet.hears('b', 'active')
  fleet.pass(limits.activationDeadlineMs)
  fleet.hears('a', 'failed')
  fleet.hears('a', 'back')
  fleet.hears('b', 'back')
  t.equal(fleet.phase, 'rolling-back')
  fleet.hears('c', 'back')
  t.equal(fleet.rollout.phase, 'rolled-back')
})

void t.test('late health at the verify deadline takes all back', async (t) => {
  const fleet = activating()
  fleet.everybody('active')
  fleet.hears('a', 'healthy')
  fleet.hears('b', 'healthy')
  fleet.pass(limits.verifyDeadlineMs)
  t.equal(fleet.phase, 'rolling-back')
  t.equal(fleet.rollout.reason, 'verify-deadline')
})

void t.test('a removal after the decision is a loss: below the floor all go back', async (t) => {
  const fleet = activating(count(2))
  fleet.apply('host-removed', { host: 'a' })
  t.equal(fleet.phase, 'activating')
  t.equal(fleet.facts.find((fact) => fact.type === 'host-dropped')?.host, 'a')
  fleet.apply('host-removed', { host: 'b' })
  t.equal(fleet.phase, 'rolling-back')
  t.equal(fleet.rollout.reason, 'host-removed')
})

void t.test('a removal of the last silent host lets those that remain commit', async (t) => {
  const fleet = activating(count(2))
  fleet.hears('a', 'healthy')
  fleet.hears('b', 'healthy')
  fleet.apply('host-removed', { host: 'c' })
  t.equal(fleet.rollout.phase, 'committed')
})

void t.test('a removal ends a roll back that only waited for that host', async (t) => {
  const fleet = activating()
  fleet.cancel()
  fleet.hears('a', 'back')
  fleet.hears('b', 'back')
  fleet.apply('host-removed', { host: 'c' })
  t.equal(fleet.rollout.phase, 'rolled-back')
  t.equal(exitCodeOf(fleet.rollout), 3)
})

void t.test('cancel before the decision aborts, after it rolls back at once', async (t) => {
  const staging = Fleet.committed()
  staging.deploy(v2)
  staging.cancel()
  t.equal(staging.rollout.phase, 'aborted')
  t.equal(staging.rollout.reason, 'cancelled')
  t.equal(exitCodeOf(staging.rollout), 4)
  t.same(staging.told('a')?.run.release, v1)
  const going = activating()
  going.cancel()
  t.equal(going.phase, 'rolling-back')
  t.equal(going.rollout.reason, 'cancelled')
})

void t.test('there is at most one roll back: a second failure or cancel starts none', async (t) => {
  const fleet = activating()
  fleet.cancel()
  fleet.hears('a', 'failed')
  fleet.cancel()
  t.equal(fleet.facts.filter((f) => f.type === 'roll-back-started').length, 1)
})

void t.test('an ended rollout does not block the next one', async (t) => {
  const fleet = activating()
  fleet.cancel()
  fleet.pass(limits.rollBackDeadlineMs)
  t.same(fleet.rollout.unknown, ['a', 'b', 'c'])
  fleet.deploy(v2)
  t.equal(fleet.said, 'started')
  t.equal(fleet.phase, 'staging')
})

void t.test('every decision has the next epoch and a hash of its own', async (t) => {
  const fleet = activating()
  fleet.hears('a', 'failed')
  const decisions = fleet.facts.flatMap((f) => (f.type === 'decided' ? [f.decision] : []))
  t.same(
    decisions.map((d) => `${d.fence.term}.${d.fence.epoch} ${d.kind}`),
    ['1.1 stage', '1.2 activate', '1.3 settle', '1.4 stage', '1.5 activate', '1.6 roll-back'],
  )
  t.equal(new Set(decisions.map((d) => d.fence.hash)).size, decisions.length)
})

void t.test('an ended rollout says how each host stood, and why it did not come', async (t) => {
  const aborted = Fleet.committed()
  aborted.deploy(v2)
  aborted.toDeadline()
  aborted.hears('a', 'ready')
  aborted.hears('b', 'failed')
  aborted.judge()
  t.equal(aborted.rollout.phase, 'aborted')
  const { a, b, c } = aborted.rollout.participants
  t.equal(a?.endPhase, 'ready')
  t.equal(b?.endPhase, 'failed')
  t.ok(b?.failure, 'why it was not ready is kept')
  t.equal(c?.endPhase, 'unknown', 'it was not heard')

  const back = activating()
  back.hears('b', 'failed')
  back.everybody('back')
  t.equal(back.rollout.phase, 'rolled-back')
  t.ok(back.rollout.participants['b']?.failure, 'the failure that led there is not forgotten')
  t.equal(back.rollout.participants['a']?.endPhase, 'healthy')
})

void t.test('a host that no longer says that it is healthy took its word back', async (t) => {
  const fleet = Fleet.committed()
  fleet.deploy(v2)
  fleet.everybody('ready')
  fleet.everybody('active')
  for (const host of ['a', 'b']) fleet.hears(host, 'healthy')
  fleet.hears('a', 'idle', { phase: 'activating', current: null, standing: 'elsewhere' })
  fleet.hears('c', 'healthy')
  t.equal(fleet.phase, 'verifying')
  fleet.hears('a', 'healthy')
  t.equal(fleet.rollout.phase, 'committed')
})
