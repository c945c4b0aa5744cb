// Who is ready, who counts, and when the barrier opens (ARCHITECTURE.md, "The barrier").

import t from 'tap'
import type { RequestedRequirement } from '#shared/environment/events.ts'
import { limits } from '#shared/limits.ts'
import { Fleet, v1, v2, v3 } from './fleet.ts'

function staging(requirement?: RequestedRequirement, hosts?: readonly string[]): Fleet {
  const fleet = Fleet.committed(hosts)
  fleet.deploy(v2, requirement === undefined ? {} : { requirement })
  return fleet
}

const count = (value: number) => ({ kind: 'count', value }) as const
const percent = (value: number) => ({ kind: 'percent', value }) as const

void t.test('the barrier opens when the last participant is ready', async (t) => {
  const fleet = staging()
  fleet.hears('a', 'ready')
  fleet.hears('b', 'ready')
  t.equal(fleet.phase, 'staging')
  fleet.hears('c', 'ready')
  t.equal(fleet.phase, 'activating')
  t.same(fleet.record.decision?.counted, ['a', 'b', 'c'])
  t.equal(fleet.record.decision?.wave, 0)
})

void t.test('a ready counts for one lease after its report, and no longer', async (t) => {
  for (const [ageMs, opens] of [
    [limits.leaseMs, true],
    [limits.leaseMs + 1, false],
  ] as const) {
    const fleet = staging()
    fleet.hears('a', 'ready')
    fleet.hears('b', 'ready')
    fleet.at += ageMs
    fleet.hears('c', 'ready')
    t.equal(fleet.phase === 'activating', opens, `${ageMs} ms`)
  }
})

void t.test('a ready whose lease lapsed counts again with the next report', async (t) => {
  const fleet = staging()
  fleet.hears('a', 'ready')
  fleet.hears('b', 'ready')
  fleet.at += limits.leaseMs + 1
  fleet.hears('c', 'ready')
  fleet.hears('a', 'ready')
  t.equal(fleet.phase, 'staging')
  fleet.hears('b', 'ready')
  t.equal(fleet.phase, 'activating')
})

void t.test('a ready does not outlive its session', async (t) => {
  const fleet = staging()
  fleet.hears('a', 'ready')
  fleet.hears('b', 'ready')
  fleet.apply('session-closed', { host: 'a', session: 1 })
  fleet.hears('c', 'ready')
  t.equal(fleet.phase, 'staging')
  fleet.hears('a', 'ready', {}, 2)
  t.equal(fleet.phase, 'activating')
})

void t.test('a report that was overtaken by the end of its session is dropped', async (t) => {
  const fleet = staging()
  fleet.hears('a', 'fetching')
  fleet.apply('session-closed', { host: 'a', session: 1 })
  fleet.hears('a', 'ready')
  t.equal(fleet.state.sessions['a']?.open, false)
  t.equal(fleet.state.sessions['a']?.report.ready, null)
})

void t.test('a host that was ready and is no longer holds the barrier up', async (t) => {
  const fleet = staging()
  fleet.hears('a', 'ready')
  fleet.hears('b', 'ready')
  fleet.hears('a', 'failed')
  fleet.hears('c', 'ready')
  t.equal(fleet.phase, 'staging')
})

void t.test(
  'a required number is a floor: while some may still come, it triggers nothing',
  async (t) => {
    const fleet = staging(count(2))
    fleet.hears('a', 'ready')
    fleet.hears('b', 'ready')
    t.equal(fleet.phase, 'staging')
    fleet.hears('c', 'ready')
    t.same(fleet.record.decision?.counted, ['a', 'b', 'c'])
  },
)

void t.test('at the wait deadline those that are ready go, if they are enough', async (t) => {
  for (const [ready, phase] of [
    [['a', 'b'], 'activating'],
    [['a'], 'settled'],
  ] as const) {
    const fleet = staging(count(2))
    fleet.toDeadline()
    for (const host of ready) fleet.hears(host, 'ready')
    fleet.judge()
    t.equal(fleet.phase, phase)
  }
})

void t.test('those that were not ready at the deadline are left behind', async (t) => {
  const fleet = staging(count(2))
  fleet.toDeadline()
  fleet.hears('a', 'ready')
  fleet.hears('b', 'ready')
  fleet.judge()
  const { participants } = fleet.rollout
  t.equal(participants['c']?.state, 'left-behind')
  t.equal(participants['c']?.counted, false)
  t.same(fleet.record.decision?.counted, ['a', 'b'])
})

void t.test('a percentage rounds up, and its number is fixed at the request', async (t) => {
  for (const [value, hosts, hostsMin] of [
    [50, 3, 2],
    [34, 3, 2],
    [33, 3, 1],
    [100, 3, 3],
    [1, 5, 1],
    [61, 5, 4],
  ] as const) {
    const fleet = staging(percent(value), ['a', 'b', 'c', 'd', 'e'].slice(0, hosts))
    t.equal(fleet.rollout.requirement.hostsMin, hostsMin, `${value} % of ${hosts}`)
  }
  const fleet = staging(percent(50))
  for (const host of ['d', 'e', 'f']) fleet.apply('host-joined', { host, name: host })
  t.equal(fleet.rollout.requirement.hostsMin, 2)
})

void t.test(
  'a required number that removals made unreachable aborts at the deadline',
  async (t) => {
    const fleet = staging(count(3))
    fleet.apply('host-removed', { host: 'c' })
    fleet.hears('a', 'ready')
    fleet.hears('b', 'ready')
    t.equal(fleet.phase, 'staging')
    fleet.toDeadline()
    fleet.hears('a', 'ready')
    fleet.hears('b', 'ready')
    fleet.judge()
    t.equal(fleet.rollout.phase, 'aborted')
    t.equal(fleet.rollout.reason, 'stage-deadline')
  },
)

void t.test('all means all that are left: a removal while staging lowers it', async (t) => {
  const fleet = staging()
  fleet.hears('a', 'ready')
  fleet.hears('b', 'ready')
  fleet.apply('host-removed', { host: 'c' })
  t.same(fleet.record.decision?.counted, ['a', 'b'])
})

void t.test('no participants left is an abort and not a decision for nobody', async (t) => {
  const fleet = staging()
  for (const host of ['a', 'b', 'c']) fleet.apply('host-removed', { host })
  t.equal(fleet.rollout.phase, 'aborted')
  t.equal(fleet.rollout.reason, 'no-participants')
  t.notOk(
    fleet.facts.some(
      (f) =>
        f.type === 'decided' && f.decision.counted.length === 0 && f.decision.kind === 'activate',
    ),
  )
})

void t.test('a host that joins while staging takes part and is waited for', async (t) => {
  const fleet = staging()
  fleet.hears('a', 'ready')
  fleet.hears('b', 'ready')
  fleet.apply('host-joined', { host: 'd', name: 'd' })
  fleet.hears('c', 'ready')
  t.equal(fleet.phase, 'staging')
  fleet.hears('d', 'ready')
  t.same(fleet.record.decision?.counted, ['a', 'b', 'c', 'd'])
})

void t.test('a host that joins after the decision is left behind until the end', async (t) => {
  const fleet = staging()
  fleet.everybody('ready')
  fleet.apply('host-joined', { host: 'd', name: 'd' })
  t.equal(fleet.rollout.participants['d']?.state, 'left-behind')
  fleet.everybody('healthy')
  t.equal(fleet.rollout.phase, 'committed')
  t.same(fleet.told('d')?.run.release, v2)
})

void t.test('excluded hosts take no part, and a renamed one does not slip in', async (t) => {
  const fleet = Fleet.committed()
  fleet.deploy(v2, { exclude: { c: 'disk replacement' } })
  fleet.apply('host-joined', { host: 'c', name: 'renamed' })
  t.same(Object.keys(fleet.rollout.participants), ['a', 'b'])
  fleet.hears('a', 'ready')
  fleet.hears('b', 'ready')
  t.same(fleet.record.decision?.counted, ['a', 'b'])
  t.same(fleet.record.excluded, { c: 'disk replacement' })
})

void t.test('who counts is frozen with the decision, whatever happens to names', async (t) => {
  const fleet = staging(count(2))
  fleet.everybody('ready')
  fleet.apply('host-joined', { host: 'a', name: 'renamed' })
  t.equal(fleet.rollout.participants['a']?.counted, true)
  t.equal(fleet.rollout.participants['a']?.name, 'renamed')
  fleet.apply('host-removed', { host: 'a' })
  fleet.apply('host-joined', { host: 'a', name: 'again' })
  t.equal(fleet.rollout.participants['a']?.counted, true)
  t.equal(fleet.rollout.participants['a']?.state, 'removed')
})

void t.test('the lead is three round trips of the slowest host, within its bounds', async (t) => {
  for (const [roundTripMs, leadMs] of [
    [1, limits.leadMinMs],
    [100, 300],
    [60_000, limits.leadMaxMs],
  ] as const) {
    const fleet = staging()
    fleet.hears('a', 'ready')
    fleet.hears('b', 'ready', { clock: { roundTripMs, errorMs: 1 } })
    fleet.hears('c', 'ready', { clock: null })
    t.equal((fleet.rollout.activateAt ?? 0) - fleet.at, leadMs, `${roundTripMs} ms`)
  }
})

void t.test(
  'with nothing committed, ready needs its before and promises no fallback',
  async (t) => {
    const fleet = new Fleet()
    fleet.deploy(v1)
    fleet.hears('a', 'ready')
    fleet.hears('b', 'ready', { standing: 'elsewhere' })
    fleet.hears('c', 'ready')
    t.equal(fleet.phase, 'staging')
    fleet.hears('b', 'ready', { ready: { target: v1.tree, fallback: v3.tree } })
    t.equal(fleet.phase, 'staging')
    fleet.hears('b', 'ready', { standing: 'kept' })
    t.equal(fleet.phase, 'activating')
  },
)
