// Traces about controllers that were restored from a backup, and about messages of old sessions.

import assert from 'node:assert/strict'
import type { Scenario, Script } from './script.ts'

export const fenced: readonly Scenario[] = [
  {
    trace: 'T7',
    title: 'a restored controller decides nothing over a decision that it has forgotten',
    run: async (s) => {
      const backup = await backupWhileStaging(s)
      s.world.network.release(s.host('h0').id, 'controller')
      await s.swapped('h0', 'v2')
      s.world.network.cutOff(s.host('h1').id)
      s.world.restore(backup)
      await s.until('it is fenced', () => s.world.isFenced)
      const { epoch } = s
      await s.run(60_000)
      assert.equal(s.epoch, epoch, 'something was decided while fenced')
      assert.equal(s.world.store.record.rollout?.phase, 'staging')
      assert.equal(await s.answer(s.world.operator.recover('v1')), 'recovered')
      s.world.heal()
      await s.world.settle()
      assert.deepEqual(s.runs, { h0: 'v1', h1: 'v1' })
    },
    without: {
      rule: 'A controller that hears a fence higher than its own stops deciding.',
      edits: [
        {
          file: 'shared/environment/hearing.ts',
          from: "if (order === 'higher') return { fence, why: 'higher-fence' }",
          to: "if (order === 'higher') return null",
        },
      ],
    },
  },
  {
    trace: 'T8',
    title: 'a restored controller that passed the fleet’s epochs is fenced by their hash',
    run: async (s) => {
      await s.fleet(['h0', 'h1'])
      await s.committed('v1')
      const backup = s.world.store.backup()
      await s.committed('v2')
      for (const host of s.world.hosts) s.world.network.cutOff(host.id)
      s.world.restore(backup)
      for (const version of ['v3', 'v4']) {
        assert.equal(await s.exitCode(s.deploy(version, { waitMs: 1000 })), 4)
      }
      for (const host of s.world.hosts) s.world.network.heal(host.id)
      await s.until('it is fenced', () => s.world.isFenced)
      await s.run(20_000)
      assert.deepEqual(s.runs, { h0: 'v2', h1: 'v2' })
      assert.equal(await s.answer(s.deploy('v3')), 'fenced')
      assert.equal(await s.answer(s.world.operator.recover(null)), 'run-required')
      assert.equal(await s.answer(s.world.operator.recover('v2')), 'recovered')
      await s.world.settle()
      assert.deepEqual(s.runs, { h0: 'v2', h1: 'v2' })
    },
    without: {
      rule: 'Any fence with a hash that it has not recorded stops a controller.',
      edits: [
        {
          file: 'shared/environment/hearing.ts',
          from: "return event.recorded && order === 'lower' ? null",
          to: "return order === 'lower' ? null",
        },
      ],
    },
  },
  {
    trace: 'T9',
    title: 'what an old socket still held is not acted on in a new session',
    run: async (s) => {
      const backup = await backupWhileStaging(s)
      const h0 = s.host('h0')
      s.world.network.hold(h0.id, 'agent')
      s.world.operator.cancel()
      await s.recorded('rollout-ended')
      await s.until('the abort is on its way', () => s.world.network.waiting(h0.id, 'agent') > 0)
      s.world.network.take(h0.id, 'controller')
      s.world.restore(backup)
      s.world.network.disconnect(h0.id)
      s.world.network.cutOff(s.host('h1').id)
      await s.run(100)
      const old = s.world.network.take(h0.id, 'agent')
      await s.until('h0 is back', () => h0.isConnected)
      await s.run(2000)
      const { fence } = h0.disk.journal
      for (const arrive of old) arrive()
      await s.run(2000)
      assert.deepEqual(h0.disk.journal.fence, fence)
      assert.ok(h0.disk.disk.held.some((release) => release.version === 'v2'))
      assert.equal(s.world.isFenced, false)
    },
    without: {
      rule: 'An agent acts only on messages of its current session.',
      edits: [
        {
          file: 'shared/activation/transition.ts',
          from: '  if (event.session !== state.session) return only(state)\n',
          to: '',
        },
      ],
    },
  },
  {
    trace: 'restored-word',
    title: 'a restored controller does not commit on the word of a host that has gone back since',
    run: async (s) => {
      const { world } = s
      await s.fleet(['h0', 'h1'])
      await s.committed('v1')
      const [h0, h1] = [s.host('h0'), s.host('h1')]
      const v2 = s.deploy('v2')
      await s.recorded('barrier-opened')
      world.network.cutOff(h1.id)
      const said = () => world.store.record.rollout?.participants[h0.id]?.attested?.kind
      await s.until('h0 has said that it is healthy', () => said() === 'healthy')
      const backup = world.store.backup()
      world.operator.cancel()
      await s.swapped('h0', 'v1')
      world.network.cutOff(h0.id)
      world.restore(backup)
      world.network.heal(h1.id)
      await s.swapped('h1', 'v2')
      await s.run(5000)
      assert.notEqual(s.rollout(v2).phase, 'committed')
      world.heal()
      await s.until('it is fenced', () => world.isFenced)
    },
    without: {
      rule: 'What hosts attested they attest again to a controller that was away.',
      edits: [
        {
          file: 'shared/environment/resume.ts',
          from: 'withParticipants(rollout, (p) => ({ ...p, attested: null }))',
          to: 'rollout',
        },
      ],
    },
  },
  {
    trace: 'T15',
    title: 'while fenced no deadline runs, cancel and PUT are refused, and recover is the end',
    run: async (s) => {
      const backup = await backupWhileStaging(s)
      s.world.network.release(s.host('h0').id, 'controller')
      await s.swapped('h1', 'v2')
      s.world.restore(backup)
      await s.until('it is fenced', () => s.world.isFenced)
      const { epoch } = s
      await s.run(16 * 60_000)
      assert.equal(await s.answer(s.world.operator.cancel()), 'fenced')
      assert.equal(await s.answer(s.deploy('v3')), 'fenced')
      assert.equal(s.epoch, epoch, 'something was decided while fenced')
      assert.equal(s.world.store.record.rollout?.phase, 'staging')
      assert.equal(await s.answer(s.world.operator.recover('v2')), 'recovered')
      await s.world.settle()
      assert.deepEqual(s.runs, { h0: 'v2', h1: 'v2' })
    },
    without: {
      rule: '`PUT` and cancel answer 409 `fenced`, deadlines do not run.',
      edits: [
        {
          file: 'shared/environment/transition.ts',
          from: "    'cancel-requested': (state, event) => refuseFenced(state, event.ticket),\n",
          to: "    'cancel-requested': (state, event) => cancel(state, event, (s) => abort(s, 'cancelled', event.at)),\n",
        },
      ],
    },
  },
]

/** v1 runs, v2 is staged and about to pass the barrier: h0's ready is held back on its way. */
async function backupWhileStaging(s: Script) {
  await s.fleet(['h0', 'h1'])
  await s.committed('v1')
  s.world.network.hold(s.host('h0').id, 'controller')
  s.deploy('v2', { waitMs: 30_000 })
  await s.recorded('rollout-started')
  const isStaged = (name: string) =>
    s.host(name).disk.disk.held.some((release) => release.version === 'v2')
  await s.until('both have staged', () => isStaged('h0') && isStaged('h1'))
  await s.run(1000)
  return s.world.store.backup()
}
