// Traces about the health gate: one host that is unhealthy takes the whole fleet back.

import assert from 'node:assert/strict'
import { declaresNothing } from '#shared/report.ts'
import type { Scenario } from './script.ts'

const gated = { ...declaresNothing, gateMs: 3000 }
const allOnV1 = { h0: 'v1', h1: 'v1', h2: 'v1' }

export const gate: readonly Scenario[] = [
  {
    trace: 'bad-gate',
    title: 'a release that is unhealthy on one of five hosts returns all five',
    run: async (s) => {
      const names = ['h0', 'h1', 'h2', 'h3', 'h4']
      await s.fleet(names, null, gated)
      await s.committed('v1')
      s.host('h3').steps.spoil('v2')
      const v2 = s.deploy('v2')
      await s.recorded('roll-back-started')
      assert.deepEqual(s.swapsTo('v2').toSorted(), names)
      const since = s.world.time.now
      assert.equal(await s.exitCode(v2), 3)
      assert.ok(s.world.time.now - since < 2000, 'back within two seconds')
      assert.equal(s.rollout(v2).reason, 'host-failed')
      assert.equal(s.rollout(v2).participants[s.host('h3').id]?.failure?.code, 'unhealthy')
      assert.deepEqual(s.runs, { ...allOnV1, h3: 'v1', h4: 'v1' })
    },
    without: {
      rule: 'Healthy is said only of a release that has passed its gate.',
      edits: [
        {
          file: 'shared/activation/gate.ts',
          from: 'return fence !== null && sameFence(state.gate.passed, fence)',
          to: 'return fence !== null',
        },
      ],
    },
  },
  {
    trace: 'bad-gate-quorum',
    title: 'an unhealthy host is no lost host: though enough remain, all go back',
    run: async (s) => {
      await s.fleet(['h0', 'h1', 'h2'], null, gated)
      await s.committed('v1')
      s.host('h2').steps.spoil('v2')
      const v2 = s.deploy('v2', { requirement: { kind: 'count', value: 2 } })
      assert.equal(await s.exitCode(v2), 3)
      assert.deepEqual(s.runs, allOnV1)
    },
    without: {
      rule: 'Unhealthy or failed on any counted host: roll back.',
      edits: [
        {
          file: 'shared/environment/activation.ts',
          from: "  if (failed.length > 0) return rollBack(state, 'host-failed', hostsOf(failed), at)\n",
          to: '',
        },
      ],
    },
  },
  {
    trace: 'canary-bad',
    title: 'a canary that is unhealthy goes back, and nobody follows',
    run: async (s) => {
      await s.fleet(['h0', 'h1', 'h2'], null, gated)
      await s.committed('v1')
      s.host('h0').steps.spoil('v2')
      const canary = { name: 'canary', hosts: { kind: 'count', value: 1 }, soakMs: 0 } as const
      const v2 = s.deploy('v2', { waves: [canary] })
      assert.equal(await s.exitCode(v2), 3)
      assert.deepEqual(s.swapsTo('v2'), ['h0'])
      assert.deepEqual(s.runs, allOnV1)
    },
    without: {
      rule: 'No host of a wave activates before the wave before is healthy.',
      edits: [
        {
          file: 'shared/environment/readiness.ts',
          from: "!hasAttested(p, epoch, ['healthy'])",
          to: "!hasAttested(p, epoch, ['active', 'healthy'])",
        },
      ],
    },
  },
  {
    trace: 'canary-sours',
    title: 'a canary that turns unhealthy while it rests goes back',
    run: async (s) => {
      await s.fleet(['h0', 'h1', 'h2'], null, gated)
      await s.committed('v1')
      const canary = { name: 'canary', hosts: { kind: 'count', value: 1 }, soakMs: null } as const
      const v2 = s.deploy('v2', { waves: [canary] })
      await s.recorded('wave-rested')
      s.host('h0').steps.spoil('v2')
      await s.run(5 * 60_000)
      assert.equal(await s.exitCode(v2), 3)
      assert.equal(s.rollout(v2).reason, 'host-failed')
      assert.deepEqual(s.runs, allOnV1)
    },
    without: {
      rule: 'Between waves, hosts that were healthy once are asked again and again.',
      edits: [
        {
          file: 'shared/activation/gate.ts',
          from: 'isCounted(told) ? { ...state.gate, due: true } : state.gate',
          to: 'isCounted(told) ? { ...state.gate, due: false } : state.gate',
        },
      ],
    },
  },
]
