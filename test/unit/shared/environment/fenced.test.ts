// A controller that hears what it has never decided stops, until it is recovered (ARCHITECTURE.md,
// "Fenced").

import t from 'tap'
import type { Fence } from '#shared/fence.ts'
import { limits } from '#shared/limits.ts'
import { exitCodeOf } from '#shared/environment/rollout.ts'
import { Fleet, v1, v2, v3 } from './fleet.ts'

function held(fleet: Fleet): Fence {
  if (fleet.fence === null) throw new Error('nothing was decided yet')
  return fleet.fence
}

/** v2 is staging, and c holds a decision five epochs ahead. */
function fencedFleet(term = 1): Fleet {
  const fleet = Fleet.committed()
  fleet.deploy(v2)
  const fence = { term, epoch: held(fleet).epoch + 5, hash: 'e'.repeat(64) }
  fleet.hears('c', 'fetching', { fence })
  return fleet
}

void t.test(
  'a higher fence, an unknown hash and a conflict each fence, with the reason',
  async (t) => {
    for (const [why, tell] of [
      ['higher-fence', (f: Fleet) => f.hears('a', 'idle', { fence: { ...held(f), epoch: 99 } })],
      ['higher-fence', (f: Fleet) => f.hears('a', 'idle', { fence: { ...held(f), term: 2 } })],
      [
        'unknown-hash',
        (f: Fleet) => f.hears('a', 'idle', { fence: { ...held(f), hash: 'e'.repeat(64) } }),
      ],
      ['fence-conflict', (f: Fleet) => f.hears('a', 'idle', { conflict: held(f) })],
    ] as const) {
      const fleet = Fleet.committed()
      tell(fleet)
      t.equal(fleet.phase, 'fenced', why)
      t.match(fleet.last.facts, [{ type: 'fenced', host: 'a', why }])
    }
  },
)

void t.test('a recorded older fence is only behind', async (t) => {
  const fleet = Fleet.committed()
  const fence = { ...held(fleet), epoch: 1 }
  fleet.hears('a', 'idle', { fence })
  t.equal(fleet.phase, 'settled')
})

void t.test('while fenced nobody is told anything', async (t) => {
  const fleet = fencedFleet()
  t.equal(fleet.told('a'), null)
  t.same(fleet.hears('a', 'idle', { fence: null }).effects, [])
})

void t.test('while fenced no deadline runs', async (t) => {
  const fleet = fencedFleet()
  fleet.pass(24 * 60 * 60_000)
  fleet.judge()
  t.equal(fleet.phase, 'fenced')
  t.equal(fleet.rollout.phase, 'staging')
})

void t.test('a refusal names the hosts that fence', async (t) => {
  const fleet = fencedFleet()
  fleet.deploy(v3)
  t.equal(fleet.said, 'fenced')
  const { answer } = fleet
  t.match(answer?.outcome === 'refused' ? answer.details : null, { hosts: ['c'] })
})

void t.test(
  'recover begins the term after the highest that was seen, and ends the rollout',
  async (t) => {
    const fleet = fencedFleet(4)
    fleet.recover(v1)
    t.equal(fleet.said, 'recovered')
    t.match(fleet.fence, { term: 5, epoch: 1 })
    t.equal(fleet.rollout.phase, 'aborted')
    t.equal(fleet.rollout.reason, 'recovered')
    t.same(fleet.record.desired, v1)
    t.same(fleet.told('c')?.run.release, v1)
  },
)

void t.test('a term that nothing can follow is refused until its host is removed', async (t) => {
  const fleet = fencedFleet(limits.fenceNumberMax)
  fleet.recover(v1)
  t.equal(fleet.said, 'no-higher-term')
  const { answer } = fleet
  t.match(answer, { outcome: 'refused', message: /\bc$/, hint: /hosts remove/ })
  t.match(answer?.outcome === 'refused' ? answer.details : null, { hosts: ['c'] })
  t.equal(fleet.phase, 'fenced')
  t.equal(fleet.record.term, 1)
  fleet.apply('host-removed', { host: 'c' })
  t.equal(fleet.phase, 'staging')

  const last = fencedFleet(limits.fenceNumberMax - 1)
  last.recover(v1)
  t.match(last.fence, { term: limits.fenceNumberMax, epoch: 1 })
})

void t.test('recover asks for a release where hosts run another than the stored one', async (t) => {
  const fleet = fencedFleet()
  fleet.hears('a', 'idle', { current: v3 })
  fleet.recover(null)
  t.equal(fleet.said, 'run-required')
  const { answer } = fleet
  t.match(answer?.outcome === 'refused' ? answer.details : null, {
    stored: 'v1',
    hosts: [{ host: 'a', runs: 'v3' }],
  })
  fleet.recover(v3)
  t.equal(fleet.said, 'recovered')
  t.same(fleet.record.committed, v3)
})

void t.test('what hosts still hold of the lost term does not fence again', async (t) => {
  const fleet = fencedFleet()
  const lost = { ...held(fleet), epoch: 77, hash: 'a'.repeat(64) }
  fleet.recover(v1)
  for (const patch of [{ fence: lost }, { fence: held(fleet), conflict: lost }]) {
    const report = fleet.reported('b', 'idle', patch)
    fleet.apply('host-reported', { ...report, recorded: false })
    t.equal(fleet.phase, 'settled')
  }
  fleet.hears('b', 'idle', { fence: lost })
  t.same(fleet.last.effects, [{ type: 'tell', host: 'b' }])
})

void t.test('recover after the decision ends in aborted, whoever is where', async (t) => {
  const fleet = Fleet.committed()
  fleet.deploy(v2)
  fleet.everybody('ready')
  fleet.hears('c', 'idle', { fence: { ...held(fleet), epoch: 99 } })
  fleet.recover(v2)
  t.equal(fleet.rollout.phase, 'aborted')
  t.equal(exitCodeOf(fleet.rollout), 4)
  t.same(fleet.told('a')?.run.release, v2)
})

void t.test(
  'a removed host’s fence does not count: the phase goes on, after one lease',
  async (t) => {
    const fleet = fencedFleet()
    fleet.at += 10 * 60_000
    fleet.apply('host-removed', { host: 'c' })
    t.equal(fleet.phase, 'staging')
    t.ok(fleet.last.facts.some((fact) => fact.type === 'unfenced'))
    fleet.judge()
    t.equal(fleet.phase, 'staging')
    fleet.hears('a', 'ready')
    fleet.hears('b', 'ready')
    t.same(fleet.record.decision?.counted, ['a', 'b'])
  },
)

void t.test('a host that joins while fenced takes part when the phase goes on', async (t) => {
  const fleet = fencedFleet()
  fleet.apply('host-joined', { host: 'd', name: 'd' })
  fleet.apply('host-removed', { host: 'c' })
  fleet.hears('a', 'ready')
  fleet.hears('b', 'ready')
  t.equal(fleet.phase, 'staging')
  fleet.hears('d', 'ready')
  t.same(fleet.record.decision?.counted, ['a', 'b', 'd'])
})

void t.test('a counted host that is removed while it fences is a loss', async (t) => {
  const fleet = Fleet.committed()
  fleet.deploy(v2)
  fleet.everybody('ready')
  fleet.hears('c', 'idle', { fence: { ...held(fleet), epoch: 99 } })
  fleet.apply('host-removed', { host: 'c' })
  t.equal(fleet.phase, 'rolling-back')
  t.equal(fleet.rollout.reason, 'host-removed')
})
