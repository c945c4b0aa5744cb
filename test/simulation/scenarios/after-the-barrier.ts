// Traces about what hosts say, lose and owe once they were told to activate.

import assert from 'node:assert/strict'
import type { Scenario } from './script.ts'

export const afterTheBarrier: readonly Scenario[] = [
  {
    trace: 'T1',
    title: 'a late word of before the decision does not count as being back',
    run: async (s) => {
      const { network, operator } = s.world
      await s.fleet(['h0', 'h1'], 'old/site')
      const h0 = s.host('h0')
      const v1 = s.deploy('v1')
      await s.recorded('barrier-opened')
      // Its regular report, from before it hears of the decision, is slow to arrive.
      network.hold(h0.id, 'agent')
      network.hold(h0.id, 'controller')
      await s.until('h0 has reported', () => network.waiting(h0.id, 'controller') === 2)
      network.release(h0.id, 'agent')
      await s.swapped('h0', 'v1')
      network.cutOff(h0.id)
      h0.crash(200_000, 'nobody hears of it')
      operator.cancel()
      await s.recorded('roll-back-started')
      network.release(h0.id, 'controller', 2)
      assert.equal(await s.exitCode(v1), 5)
      assert.deepEqual(s.rollout(v1).unknown, [h0.id])
      assert.equal(s.runs['h0'], 'v1')
      s.world.heal()
      await s.world.settle()
      assert.deepEqual(s.runs, { h0: 'old/site', h1: 'old/site' })
    },
    without: {
      rule: 'An attest counts only if its fence is the newest decision’s.',
      edits: [
        {
          file: 'shared/environment/activation.ts',
          from: '  if (!sameFence(view.report.fence, decision.fence)) return unchanged(state)\n',
          to: '',
        },
      ],
    },
  },
  {
    trace: 'T2',
    title: 'a host that missed a roll back goes back under any later epoch',
    run: async (s) => {
      await s.fleet(['h0', 'h1'], 'old/site')
      const v1 = s.deploy('v1')
      await s.swapped('h0', 'v1')
      s.world.network.cutOff(s.host('h0').id)
      s.world.operator.cancel()
      assert.equal(await s.exitCode(v1), 5)
      const v2 = s.deploy('v2', { waitMs: 5000 })
      assert.equal(await s.exitCode(v2), 4)
      assert.equal(s.runs['h0'], 'v1')
      s.world.heal()
      await s.world.settle()
      assert.deepEqual(s.runs, { h0: 'old/site', h1: 'old/site' })
    },
    without: {
      rule: 'While nothing is committed, every epoch but activate means the host’s own before.',
      edits: [
        {
          file: 'shared/activation/goal.ts',
          from: '  if (before !== null && before.link !== null) return',
          to: "  if (told.kind === 'roll-back' && before !== null && before.link !== null) return",
        },
      ],
    },
  },
  {
    trace: 'T3',
    title: 'a crash right after the first swap does not make the new release its own before',
    run: async (s) => {
      await s.fleet(['h0', 'h1'], 'old/site')
      const v1 = s.deploy('v1')
      await s.recorded('barrier-opened')
      s.world.network.cutOff(s.host('h1').id)
      s.weather({ swapCrash: 1 })
      await s.swapped('h0', 'v1')
      s.weather({})
      await s.until('h0 is back', () => s.host('h0').isConnected)
      await s.run(1000)
      s.world.operator.cancel()
      await s.recorded('roll-back-started')
      s.world.heal()
      assert.equal(await s.exitCode(v1), 3)
      assert.deepEqual(s.runs, { h0: 'old/site', h1: 'old/site' })
    },
    without: {
      rule: 'The before is journalled once, before the swap.',
      edits: [
        {
          file: 'shared/activation/journal.ts',
          from: 'if (before !== null || isAtGoal(state, goal)',
          to: 'if (before !== null || !isAtGoal(state, goal)',
        },
      ],
    },
  },
  {
    trace: 'T4',
    title: 'a rollout that loses every participant is aborted, not decided for nobody',
    run: async (s) => {
      await s.fleet(['h0', 'h1'])
      await s.committed('v1')
      s.weather({ stageMs: [5000, 5000] })
      const v2 = s.deploy('v2')
      await s.recorded('rollout-started')
      const { epoch } = s
      s.world.remove('h0')
      s.world.remove('h1')
      assert.equal(await s.exitCode(v2), 4)
      assert.equal(s.rollout(v2).reason, 'no-participants')
      assert.equal(s.epoch, epoch + 1)
    },
    without: {
      rule: 'No participants left is an abort.',
      edits: [
        {
          file: 'shared/environment/barrier.ts',
          from: "  if (participants.length === 0) return abort(state, 'no-participants', at)\n",
          to: '',
        },
        {
          file: 'shared/environment/rollout.ts',
          from: 'return Math.max(1, rollout.requirement.hostsMin ?? participants)',
          to: 'return rollout.requirement.hostsMin ?? participants',
        },
      ],
    },
  },
  {
    trace: 'T5',
    title: 'a removal after the decision is a loss: below the floor, all go back',
    run: async (s) => {
      await s.fleet(['h0', 'h1', 'h2'])
      await s.committed('v1')
      s.world.network.cutOff(s.host('h2').id)
      const v2 = s.deploy('v2', { requirement: { kind: 'count', value: 2 }, waitMs: 20_000 })
      await s.recorded('barrier-opened')
      s.world.remove('h0')
      assert.equal(await s.exitCode(v2), 3)
      assert.equal(s.rollout(v2).reason, 'host-removed')
      s.world.heal()
      await s.world.settle()
      assert.equal(s.runs['h1'], 'v1')
    },
    without: {
      rule: 'A removal after the decision counts as a loss.',
      edits: [
        {
          file: 'shared/environment/activation.ts',
          from: "  return loseHosts(state, [], 'host-removed', at, [participant])\n",
          to: '  return unchanged(state)\n',
        },
        {
          file: 'shared/environment/activation.ts',
          from: "  if (isTooFew(rollout, counted.length, remainingOf(rollout).length)) {\n    return rollBack(state, 'host-removed', [], at)\n  }\n",
          to: '',
        },
      ],
    },
  },
  {
    trace: 'T22',
    title: 'a host that restarts between rename and reload repeats the reload by itself',
    run: async (s) => {
      await s.fleet(['h0', 'h1'])
      await s.committed('v1')
      s.deploy('v2')
      await s.recorded('barrier-opened')
      s.weather({ swapCrash: 1 })
      await s.swapped('h0', 'v2')
      s.weather({})
      s.world.controller.halt()
      const { reloads } = s.host('h0').disk
      await s.until('h0 has reloaded', () => s.host('h0').disk.reloads === reloads + 1, 5000)
      await s.until('that is journalled', () => !s.host('h0').disk.journal.reloadDue, 1000)
      s.world.heal()
      await s.world.settle()
    },
    without: {
      rule: 'After a crash the agent repeats the reload steps for its highest fence.',
      edits: [
        {
          file: 'shared/activation/transition.ts',
          from: 'return reconcile(state)\n}\n\nfunction handle',
          to: 'return { state, effects: [] }\n}\n\nfunction handle',
        },
      ],
    },
  },
]
