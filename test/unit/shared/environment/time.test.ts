// Deadlines, and what a controller does that was away when one passed (ARCHITECTURE.md, "Time").

import t from 'tap'
import { limits } from '#shared/limits.ts'
import { nextDeadlineAt } from '#shared/environment/state.ts'
import { Fleet, v1, v2 } from './fleet.ts'

function staging(waitMs = 60_000): Fleet {
  const fleet = Fleet.committed()
  fleet.deploy(v2, { waitMs })
  return fleet
}

void t.test('each phase has its deadline, and settled has none', async (t) => {
  const fleet = staging()
  const left = () => (nextDeadlineAt(fleet.record) ?? fleet.at) - fleet.at
  t.equal(left(), 60_000)
  fleet.everybody('ready')
  t.equal(left(), limits.activationDeadlineMs)
  fleet.everybody('active')
  t.equal(left(), limits.verifyDeadlineMs)
  fleet.cancel()
  t.equal(left(), limits.rollBackDeadlineMs)
  fleet.everybody('back')
  t.equal(nextDeadlineAt(fleet.record), null)
})

void t.test('a wait is never longer than the stage deadline', async (t) => {
  const fleet = staging(24 * 60 * 60_000)
  t.equal((nextDeadlineAt(fleet.record) ?? 0) - fleet.at, limits.stageDeadlineMs)
})

void t.test('after a restart nobody is ready before it has said so again', async (t) => {
  const fleet = staging()
  fleet.hears('a', 'ready')
  fleet.hears('b', 'ready')
  fleet.restart()
  fleet.hears('c', 'ready')
  t.equal(fleet.phase, 'staging')
  fleet.hears('a', 'ready')
  fleet.hears('b', 'ready')
  t.equal(fleet.phase, 'activating')
})

void t.test('a stage deadline that passed meanwhile waits one lease more', async (t) => {
  const fleet = staging()
  fleet.at += 10 * 60_000
  fleet.restart()
  fleet.pass(limits.leaseMs - 1)
  t.equal(fleet.phase, 'staging')
  for (const host of ['a', 'b', 'c']) fleet.hears(host, 'ready')
  t.equal(fleet.phase, 'activating')
})

void t.test('and is judged then', async (t) => {
  const fleet = staging()
  fleet.at += 10 * 60_000
  fleet.restart()
  fleet.pass(limits.leaseMs)
  t.equal(fleet.rollout.phase, 'aborted')
  t.equal(fleet.rollout.reason, 'stage-deadline')
})

void t.test('a deadline that is far away stays where it is', async (t) => {
  const fleet = staging()
  const deadlineAt = nextDeadlineAt(fleet.record)
  fleet.at += 1000
  fleet.restart()
  t.equal(nextDeadlineAt(fleet.record), deadlineAt)
})

void t.test('a roll back deadline that passed meanwhile waits one lease more', async (t) => {
  const fleet = staging()
  fleet.everybody('ready')
  fleet.cancel()
  fleet.at += 10 * 60_000
  fleet.restart()
  fleet.everybody('back')
  t.equal(fleet.rollout.phase, 'rolled-back')
  t.same(fleet.rollout.unknown, [])
})

void t.test('an activation found past its deadline goes straight to the roll back', async (t) => {
  for (const word of ['ready', 'active'] as const) {
    const fleet = staging()
    fleet.everybody('ready')
    if (word === 'active') fleet.everybody('active')
    fleet.at += 10 * 60_000
    fleet.restart()
    t.equal(fleet.phase, 'rolling-back', word)
    t.equal(fleet.rollout.reason, 'controller-was-away')
    t.same(fleet.told('a')?.run.release, v1)
  }
})

void t.test('an activation found in time goes on under the same decision', async (t) => {
  const fleet = staging()
  fleet.everybody('ready')
  const told = fleet.told('a')
  fleet.restart()
  t.equal(fleet.phase, 'activating')
  t.same(fleet.told('a'), told)
  fleet.everybody('healthy')
  t.equal(fleet.rollout.phase, 'committed')
})

void t.test('a clock that went back does not put a deadline off', async (t) => {
  for (const [word, limitMs] of [
    ['idle', 60_000],
    ['ready', limits.activationDeadlineMs],
  ] as const) {
    const fleet = staging()
    fleet.everybody(word)
    fleet.at -= 24 * 60 * 60_000
    fleet.restart()
    t.equal((nextDeadlineAt(fleet.record) ?? 0) - fleet.at, limitMs, word)
  }
})

void t.test('nor does one that went back while nothing could be decided', async (t) => {
  const fleet = staging()
  fleet.hears('a', 'idle', { fence: { term: 9, epoch: 1, hash: 'e'.repeat(64) } })
  fleet.at -= 24 * 60 * 60_000
  fleet.restart()
  fleet.apply('host-joined', { host: 'd', name: 'd' })
  fleet.apply('host-removed', { host: 'a' })
  t.equal((nextDeadlineAt(fleet.record) ?? 0) - fleet.at, 60_000)
})

void t.test('what is settled or fenced is only taken up again', async (t) => {
  const settled = Fleet.committed()
  const { record } = settled
  settled.restart()
  t.equal(settled.record, record)
  const fenced = staging()
  fenced.hears('a', 'idle', { fence: { term: 9, epoch: 1, hash: 'e'.repeat(64) } })
  fenced.at += 60 * 60_000
  fenced.restart()
  t.equal(fenced.phase, 'fenced')
  t.same(fenced.decided, [])
})

void t.test('the hash of a decision does not depend on when it is told or taken', async (t) => {
  const hashes = [0, 12_345].map((delayMs) => {
    const fleet = Fleet.committed()
    fleet.at += delayMs
    fleet.deploy(v2)
    for (const host of ['a', 'b', 'c']) {
      fleet.hears(host, 'ready', { clock: { roundTripMs: 1 + delayMs, errorMs: 1 } })
    }
    return fleet.fence?.hash
  })
  t.equal(hashes[0], hashes[1])
})

void t.test('after a restart everybody attests again', async (t) => {
  const fleet = Fleet.committed()
  fleet.deploy(v2)
  fleet.everybody('ready')
  for (const host of ['a', 'b']) fleet.hears(host, 'healthy')
  fleet.restart()
  fleet.hears('c', 'healthy')
  t.equal(fleet.phase, 'activating')
  for (const host of ['a', 'b']) fleet.hears(host, 'healthy')
  t.equal(fleet.rollout.phase, 'committed')
})
