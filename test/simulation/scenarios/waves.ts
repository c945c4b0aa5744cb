// Traces about waves: what comes before the next one, how long it may wait, and how it is stopped.

import assert from 'node:assert/strict'
import type { WaveRequest } from '#shared/environment/events.ts'
import { limits } from '#shared/limits.ts'
import type { Scenario, Script } from './script.ts'

export const waves: readonly Scenario[] = [
  {
    trace: 'T6',
    title: 'a wave whose only host was removed is skipped',
    run: async (s) => {
      await s.fleet(['h0', 'h1', 'h2'])
      await s.committed('v1')
      const v2 = s.deploy('v2', { waves: [only(s, 'h0', 5000), only(s, 'h1', 0)] })
      await s.recorded('wave-rested')
      s.world.remove('h1')
      assert.equal(await s.exitCode(v2), 0)
      assert.equal(s.rollout(v2).wave, 2)
      assert.deepEqual(s.runs, { h0: 'v2', h1: 'v1', h2: 'v2' })
    },
    without: {
      rule: 'A wave left without hosts is skipped.',
      edits: [
        {
          file: 'shared/environment/rollout.ts',
          from: 'return waves.length === 0 ? null : Math.min(...waves)',
          to: 'return waves.length === 0 ? null : rollout.wave + 1',
        },
      ],
    },
  },
  {
    trace: 'T18',
    title: 'after a pause of 50 minutes the next wave has a barrier deadline of its own',
    run: async (s) => {
      const v2 = await s.afterCanary(null)
      await s.run(50 * 60_000)
      s.world.network.cutOff(s.host('h1').id)
      await s.run(limits.leaseMs + 1000)
      s.world.operator.goOn()
      await s.run(60_000)
      assert.equal(s.rollout(v2).between?.step, 'barrier')
      s.world.heal()
      assert.equal(await s.exitCode(v2), 0)
      assert.deepEqual(s.runs, { h0: 'v2', h1: 'v2', h2: 'v2' })
    },
    without: {
      rule: 'Each wave’s barrier has its own deadline, from when it may open.',
      edits: [
        {
          file: 'shared/environment/between.ts',
          from: "resting(r, 'barrier', at, limits.waveDeadlineMs)",
          to: "resting(r, 'barrier', r.between?.since ?? at, limits.waveDeadlineMs)",
        },
      ],
    },
  },
  {
    trace: 'canary-go',
    title: 'a canary without a rest waits for somebody, then the others follow',
    run: async (s) => {
      const v2 = await s.afterCanary(null)
      await s.run(60_000)
      assert.deepEqual(s.runs, { h0: 'v2', h1: 'v1', h2: 'v1' })
      assert.equal(await s.answer(s.world.operator.goOn()), 'continued')
      assert.equal(await s.exitCode(v2), 0)
      assert.deepEqual(s.runs, { h0: 'v2', h1: 'v2', h2: 'v2' })
    },
    without: {
      rule: 'Nothing further opens before somebody lets it go on.',
      edits: [
        {
          file: 'shared/environment/between.ts',
          from: '  if (soakMs === 0) return letGoOn(state, at)\n',
          to: '  if (soakMs === 0 || soakMs === null) return letGoOn(state, at)\n',
        },
      ],
    },
  },
  {
    trace: 'canary-stop',
    title: 'cancelled while the canary rests, the canary goes back and nobody follows',
    run: async (s) => {
      const v2 = await s.afterCanary(60_000)
      assert.equal(await s.answer(s.world.operator.cancel()), 'cancelled')
      assert.equal(await s.exitCode(v2), 3)
      assert.equal(s.rollout(v2).reason, 'cancelled')
      await s.world.settle()
      assert.deepEqual(s.runs, { h0: 'v1', h1: 'v1', h2: 'v1' })
      assert.deepEqual(s.swapsTo('v2'), ['h0'])
    },
    without: {
      rule: 'Cancel after a decision to activate records the roll back.',
      edits: [
        {
          file: 'shared/environment/transition.ts',
          from: "(s) => rollBack(s, 'cancelled', [], event.at)",
          to: "(s) => abort(s, 'cancelled', event.at)",
        },
      ],
    },
  },
  {
    trace: 'canary-hold',
    title: 'a rest that somebody holds up does not end by itself',
    run: async (s) => {
      const v2 = await s.afterCanary(10_000)
      assert.equal(await s.answer(s.world.operator.pause()), 'paused')
      await s.run(10 * 60_000)
      assert.deepEqual(s.runs, { h0: 'v2', h1: 'v1', h2: 'v1' })
      s.world.operator.goOn()
      assert.equal(await s.exitCode(v2), 0)
    },
    without: {
      rule: 'A wave that is held up waits until somebody lets it go on.',
      edits: [
        {
          file: 'shared/environment/between.ts',
          from: "isResting ? resting(rollout, 'pause', at, limits.pauseDeadlineMs) : rollout",
          to: 'isResting ? rollout : rollout',
        },
      ],
    },
  },
  {
    trace: 'canary-forgotten',
    title: 'a canary that nobody lets go on within the hour goes back',
    run: async (s) => {
      const v2 = await s.afterCanary(null)
      await s.run(limits.pauseDeadlineMs + 5000)
      assert.equal(s.rollout(v2).reason, 'pause-deadline')
      assert.equal(await s.exitCode(v2), 3)
      await s.world.settle()
      assert.deepEqual(s.runs, { h0: 'v1', h1: 'v1', h2: 'v1' })
    },
    without: {
      rule: 'A pause between waves has a deadline, then every activated wave rolls back.',
      edits: [
        {
          file: 'shared/environment/between.ts',
          from: "      return rollBack(state, 'pause-deadline', [], at)\n",
          to: '      return letGoOn(state, at)\n',
        },
      ],
    },
  },
  {
    trace: 'canary-heard-again',
    title: 'the canary’s word of before the second wave does not commit it',
    run: async (s) => {
      const v2 = await s.afterCanary(null)
      s.world.network.hold(s.host('h0').id, 'agent')
      s.world.operator.goOn()
      await s.swapped('h1', 'v2')
      s.world.network.take(s.host('h0').id, 'agent')
      s.world.network.cutOff(s.host('h0').id)
      await s.run(2 * 60_000)
      assert.equal(s.rollout(v2).reason, 'activation-deadline')
      assert.equal(await s.exitCode(v2), 5)
      s.world.heal()
      await s.world.settle()
      assert.deepEqual(s.runs, { h0: 'v1', h1: 'v1', h2: 'v1' })
    },
    without: {
      rule: 'Hosts of earlier waves attest again under each new epoch.',
      edits: [
        {
          file: 'shared/environment/readiness.ts',
          from: 'attested !== null && attested.epoch === epoch && kinds.includes(attested.kind)',
          to: 'attested !== null && kinds.includes(attested.kind)',
        },
      ],
    },
  },
]

function only(s: Script, name: string, soakMs: number | null): WaveRequest {
  return { name, hosts: { kind: 'hosts', hosts: [s.host(name).id] }, soakMs }
}
