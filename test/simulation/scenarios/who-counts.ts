// Traces about who has to be there: floors, hosts that are left behind or lost, and hosts that hold.

import assert from 'node:assert/strict'
import type { Scenario } from './script.ts'

const two = { kind: 'count', value: 2 } as const

export const whoCounts: readonly Scenario[] = [
  {
    trace: 'quorum',
    title: 'two of three are enough; the dead one is named, and converges when it comes back',
    run: async (s) => {
      await s.fleet(['h0', 'h1', 'h2'])
      await s.committed('v1')
      const h2 = s.host('h2')
      s.world.network.cutOff(h2.id)
      const v2 = s.deploy('v2', { requirement: two, waitMs: 20_000 })
      assert.equal(await s.exitCode(v2), 0)
      assert.equal(s.rollout(v2).participants[h2.id]?.state, 'left-behind')
      assert.deepEqual(s.runs, { h0: 'v2', h1: 'v2', h2: 'v1' })
      s.world.heal()
      await s.world.settle()
      assert.deepEqual(s.runs, { h0: 'v2', h1: 'v2', h2: 'v2' })
    },
    without: {
      rule: 'At the deadline the barrier opens with those ready if they are at least N.',
      edits: [
        {
          file: 'shared/environment/barrier.ts',
          from: 'candidates.ready.length >= hostsMinOf(rollout, remaining.length)',
          to: 'candidates.ready.length >= remaining.length',
        },
      ],
    },
  },
  {
    trace: 'quorum-unmet',
    title: 'below the floor the rollout is aborted, and the one that was ready stays',
    run: async (s) => {
      await s.fleet(['h0', 'h1', 'h2'])
      await s.committed('v1')
      for (const name of ['h1', 'h2']) s.world.network.cutOff(s.host(name).id)
      const v2 = s.deploy('v2', { requirement: two, waitMs: 20_000 })
      assert.equal(await s.exitCode(v2), 4)
      assert.equal(s.rollout(v2).reason, 'stage-deadline')
      assert.deepEqual(s.runs, { h0: 'v1', h1: 'v1', h2: 'v1' })
    },
    without: {
      rule: 'Below N the rollout aborts.',
      edits: [
        {
          file: 'shared/environment/barrier.ts',
          from: 'candidates.ready.length >= hostsMinOf(rollout, remaining.length)',
          to: 'candidates.ready.length >= 1',
        },
      ],
    },
  },
  {
    trace: 'quorum-no-trigger',
    title: 'a floor is no trigger: while there is time, all are waited for',
    run: async (s) => {
      await s.fleet(['h0', 'h1', 'h2'])
      await s.committed('v1')
      s.world.network.cutOff(s.host('h2').id)
      const v2 = s.deploy('v2', { requirement: two, waitMs: 5 * 60_000 })
      await s.run(60_000)
      assert.equal(s.rollout(v2).phase, 'staging')
      s.world.heal()
      assert.equal(await s.exitCode(v2), 0)
      assert.deepEqual(s.runs, { h0: 'v2', h1: 'v2', h2: 'v2' })
    },
    without: {
      rule: '`--require` is a floor, not a trigger.',
      edits: [
        {
          file: 'shared/environment/barrier.ts',
          from: 'return candidates.ready.length === participants.length',
          to: 'return candidates.ready.length >= hostsMinOf(rollout, participants.length)',
        },
      ],
    },
  },
  {
    trace: 'lost',
    title: 'one that is lost after the decision is dropped by name, where enough remain',
    run: async (s) => {
      await s.fleet(['h0', 'h1', 'h2'])
      await s.committed('v1')
      const h2 = s.host('h2')
      const v2 = s.deploy('v2', { requirement: two })
      await s.recorded('barrier-opened')
      s.world.network.cutOff(h2.id)
      assert.equal(await s.exitCode(v2), 0)
      const { participants } = s.rollout(v2)
      assert.equal(participants[h2.id]?.state, 'dropped')
      assert.equal(participants[h2.id]?.endPhase, 'unknown')
      s.world.heal()
      await s.world.settle()
      assert.deepEqual(s.runs, { h0: 'v2', h1: 'v2', h2: 'v2' })
    },
    without: {
      rule: 'Lost at the deadline: dropped, if the hosts that remain are enough.',
      edits: [
        {
          file: 'shared/environment/activation.ts',
          from: '  if (isTooFew(rollout, counted, remaining)) {\n',
          to: '  if (isTooFew(rollout, counted, remaining) || late.length > 0) {\n',
        },
      ],
    },
  },
  {
    trace: 'drained',
    title: 'a drained host takes no part and holds, until it is let in',
    run: async (s) => {
      await s.fleet(['h0', 'h1', 'h2'])
      await s.committed('v1')
      const h2 = s.host('h2')
      assert.equal(await s.answer(s.world.operator.drain(h2.id, 'a new disk')), 'drained')
      assert.equal(await s.exitCode(s.deploy('v2')), 0)
      await s.run(20_000)
      assert.deepEqual(s.runs, { h0: 'v2', h1: 'v2', h2: 'v1' })
      assert.equal(await s.answer(s.world.operator.drain(h2.id, null)), 'drained')
      await s.world.settle()
      assert.deepEqual(s.runs, { h0: 'v2', h1: 'v2', h2: 'v2' })
    },
    without: {
      rule: 'A drained host is told to hold what it runs.',
      edits: [
        {
          file: 'shared/environment/tell.ts',
          from: 'const drain = host in record.drained',
          to: 'const drain = false',
        },
      ],
    },
  },
  {
    trace: 'drained-anew',
    title: 'a drained host that is enrolled anew does not hold for ever',
    run: async (s) => {
      await s.fleet(['h0', 'h1'])
      await s.committed('v1')
      const h1 = s.host('h1')
      await s.answer(s.world.operator.drain(h1.id, 'a new disk'))
      await s.until('h1 holds', () => h1.disk.journal.told?.hold === true)
      s.world.remove('h1')
      await s.run(1000)
      s.world.join('h1')
      await s.run(5000)
      s.world.operator.drain(h1.id, null)
      await s.world.settle()
      await s.until('h1 is let in', () => h1.disk.journal.told?.hold === false)
    },
    without: {
      rule: 'That a host is drained outlives its removal, as what it was told does.',
      edits: [
        {
          file: 'shared/environment/membership.ts',
          from: '    members: without(state.record.members, host),\n',
          to: '    members: without(state.record.members, host),\n    drained: without(state.record.drained, host),\n',
        },
      ],
    },
  },
  {
    trace: 'lease',
    title: 'ready is a lease: one that was ready and is gone holds the barrier shut',
    run: async (s) => {
      await s.fleet(['h0', 'h1'])
      await s.committed('v1')
      s.world.network.hold(s.host('h1').id, 'controller')
      const v2 = s.deploy('v2', { waitMs: 60_000 })
      await s.recorded('rollout-started')
      const h0 = s.host('h0')
      await s.until('h0 is ready', () => s.isReady('h0'))
      h0.crash(300_000, 'nobody hears of it')
      await s.run(20_000)
      s.world.network.release(s.host('h1').id, 'controller')
      assert.equal(await s.exitCode(v2), 4)
      assert.deepEqual(s.runs, { h0: 'v1', h1: 'v1' })
    },
    without: {
      rule: 'Ready counts while its session is open and its report is at most a lease old.',
      edits: [
        {
          file: 'shared/environment/readiness.ts',
          from: 'view.open && at - view.reportedAt <= limits.leaseMs',
          to: 'true',
        },
      ],
    },
  },
]
