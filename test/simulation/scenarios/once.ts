// Traces about the run that a fleet makes once per release, a migration say.

import assert from 'node:assert/strict'
import { declaresNothing } from '#shared/report.ts'
import type { Scenario, Script } from './script.ts'
import type { Asked } from '../world/operator.ts'

const migration = { ...declaresNothing, once: 'a'.repeat(64), onceMs: 60_000 }
const another = { ...migration, once: 'b'.repeat(64) }

export const once: readonly Scenario[] = [
  {
    trace: 'T10',
    title: 'after a restore and a recovery a run is unknown, and nobody starts it again',
    run: async (s) => {
      const { world } = s
      const v2 = await running(s, 30_000)
      const backup = world.store.backup()
      world.network.cutOff(s.host('h0').id)
      world.operator.cancel()
      assert.equal(await s.exitCode(v2), 4)
      await s.until('h1 has heard', () => s.host('h1').disk.journal.told?.kind === 'settle')
      world.restore(backup)
      await s.until('it is fenced', () => world.isFenced)
      assert.equal(await s.answer(world.operator.recover(null)), 'recovered')
      assert.equal(await s.answer(s.deploy('v2')), 'once-unknown')
      assert.equal(await s.answer(s.deploy('v2', { once: 'run' })), 'once-running')
      world.heal()
      await s.run(60_000)
      assert.equal(await s.exitCode(s.deploy('v2')), 0)
      assert.deepEqual(s.starts('v2'), ['h0'])
    },
    without: {
      rule: 'A recovery turns every once state other than `done` into `once-unknown`.',
      edits: [
        {
          file: 'shared/environment/once.ts',
          from: "      known.state === 'done' ? known : { ...known, state: 'unknown' as const, quiet: false, at },\n",
          to: '      known,\n',
        },
      ],
    },
  },
  {
    trace: 'T11',
    title: 'a run that is done is not made again by the next rollout of that tree',
    run: async (s) => {
      const v2 = await running(s, 20_000)
      s.world.network.cutOff(s.host('h1').id)
      assert.equal(await s.exitCode(v2), 4)
      s.world.heal()
      await s.world.settle()
      assert.equal(await s.exitCode(s.deploy('v2')), 0)
      assert.deepEqual(s.starts('v2'), ['h0'])
    },
    without: {
      rule: '`done` is recorded per tree, and a later rollout of that tree skips the hook.',
      edits: [
        {
          file: 'shared/environment/once.ts',
          from: "  if (known !== undefined) return known.state !== 'done'\n",
          to: '',
        },
      ],
    },
  },
  {
    trace: 'T12',
    title: 'a run that may still be under way is not repeated before its host says that it is not',
    run: async (s) => {
      const v2 = await running(s, 40_000)
      const h0 = s.host('h0')
      h0.steps.outlives = true
      h0.crash(500)
      s.world.operator.cancel()
      assert.equal(await s.exitCode(v2), 4)
      await s.run(10_000)
      assert.equal(await s.answer(s.deploy('v2')), 'once-unknown')
      assert.equal(await s.answer(s.deploy('v2', { once: 'run' })), 'once-running')
      await s.run(60_000)
      assert.equal(await s.answer(s.deploy('v2')), 'once-unknown')
      assert.equal(await s.exitCode(s.deploy('v2', { once: 'run' })), 0)
      assert.deepEqual(s.starts('v2'), ['h0', 'h0'])
    },
    without: {
      rule: '`--once run` is refused until the host has reported that nothing of the run is left.',
      edits: [
        {
          file: 'shared/environment/request.ts',
          from: 'if (request.force || known.quiet || host === undefined) return null',
          to: "if (request.force || known.state === 'unknown') return null",
        },
      ],
    },
  },
  {
    trace: 'T12b',
    title: 'a run that was told and never began says so by what its host does not hold',
    run: async (s) => {
      await fleet(s)
      const h0 = s.host('h0')
      const v2 = s.deploy('v2')
      await s.recorded('once-told')
      s.world.network.cutOff(h0.id)
      s.world.operator.cancel()
      assert.equal(await s.exitCode(v2), 4)
      assert.equal(await s.answer(s.deploy('v2', { once: 'run' })), 'once-running')
      s.world.heal()
      await s.run(60_000)
      assert.equal(await s.exitCode(s.deploy('v2', { once: 'run' })), 0)
      assert.deepEqual(s.starts('v2'), ['h0'])
    },
    without: {
      rule: 'What counts is what a host says under a higher fence than the run’s.',
      edits: [
        {
          file: 'shared/environment/once.ts',
          from: 'const quiet = known.quiet || (isOver && isHigher)',
          to: 'const quiet = known.quiet || (isOver && isHigher && own !== null)',
        },
      ],
    },
  },
  {
    trace: 'T13',
    title: 'while a migration runs another version is refused: cancel first',
    run: async (s) => {
      const v2 = await running(s, 20_000)
      assert.equal(await s.answer(s.deploy('v3')), 'rollout-open')
      assert.equal(await s.exitCode(v2), 0)
      assert.deepEqual(s.runs, { h0: 'v2', h1: 'v2' })
    },
    without: {
      rule: 'Another version is 409 in `preparing`.',
      edits: [
        {
          file: 'shared/environment/transition.ts',
          from: "  preparing: {\n    'release-desired': answerOpenOrRefuse,",
          to: "  preparing: {\n    'release-desired': supersede,",
        },
      ],
    },
  },
  {
    trace: 'T17',
    title: 'after the migration a host whose report is late has one more lease',
    run: async (s) => {
      const v2 = await running(s, 20_000)
      await s.run(3000)
      s.world.network.hold(s.host('h1').id, 'controller')
      await s.until('the run is done', () => !s.isRunningOnce('h0'))
      await s.run(2000)
      assert.equal(s.rollout(v2).phase, 'preparing')
      s.world.network.release(s.host('h1').id, 'controller')
      assert.equal(await s.exitCode(v2), 0)
      assert.deepEqual(s.runs, { h0: 'v2', h1: 'v2' })
    },
    without: {
      rule: 'After a once result the judgement waits one more lease.',
      edits: [
        {
          file: 'shared/environment/preparing.ts',
          from: '      return tryBarrier(granted, at)\n',
          to: '      return judgeBarrier(granted, at)\n',
        },
      ],
    },
  },
  {
    trace: 'once-failed',
    title: 'a migration that fails swaps nobody, and may be tried again',
    run: async (s) => {
      await fleet(s)
      s.weather({ onceFails: 1 })
      const v2 = s.deploy('v2')
      assert.equal(await s.exitCode(v2), 4)
      assert.equal(s.rollout(v2).reason, 'once-failed')
      assert.deepEqual(s.swapsTo('v2'), [])
      s.weather({})
      assert.equal(await s.exitCode(s.deploy('v2')), 0)
      assert.deepEqual(s.starts('v2'), ['h0', 'h0'])
    },
    without: {
      rule: 'Nobody swaps before the run is done.',
      edits: [
        {
          file: 'shared/environment/preparing.ts',
          from: "      return abort(state, 'once-failed', at)\n",
          to: '      return judgeBarrier(state, at)\n',
        },
        {
          file: 'shared/environment/once.ts',
          from: "return known?.state === 'done' && known.rollout === id",
          to: 'return known?.rollout === id',
        },
      ],
    },
  },
  {
    trace: 'once-crash',
    title: 'an agent that dies while it runs starts nothing again, and the end says unknown',
    run: async (s) => {
      const v2 = await running(s, 20_000)
      const h0 = s.host('h0')
      h0.steps.outlives = false
      h0.crash(500)
      assert.equal(await s.exitCode(v2), 4)
      assert.equal(s.rollout(v2).reason, 'once-unknown')
      assert.deepEqual(s.starts('v2'), ['h0'])
      assert.deepEqual(s.swapsTo('v2'), [])
    },
    without: {
      rule: 'A run is never started twice under one fence, whatever became of it.',
      edits: [
        {
          file: 'shared/activation/once.ts',
          from: "if (once?.state === 'running' && state.onceRun === null) {",
          to: "if (once?.state === 'done' && state.onceRun === null && fence === null) {",
        },
        {
          file: 'shared/activation/once.ts',
          from: 'if (state.onceRun !== null || isRunningOnce(state)) return null',
          to: 'if (state.onceRun !== null) return null',
        },
        {
          file: 'shared/activation/once.ts',
          from: "if (compareFence(fence, once?.fence ?? null) !== 'higher') return null",
          to: "if (compareFence(fence, once?.fence ?? null) === 'lower') return null",
        },
      ],
    },
  },
  {
    trace: 'once-late',
    title: 'a result that comes after the rollout was given up resolves it',
    run: async (s) => {
      const v2 = await running(s, 20_000)
      s.world.operator.cancel()
      assert.equal(await s.exitCode(v2), 4)
      assert.equal(await s.answer(s.deploy('v2')), 'once-unknown')
      await s.until('the run is done', () => !s.isRunningOnce('h0'))
      await s.run(6000)
      assert.equal(await s.exitCode(s.deploy('v2')), 0)
      assert.deepEqual(s.starts('v2'), ['h0'])
    },
    without: {
      rule: 'A late result resolves what is unknown.',
      edits: [
        {
          file: 'shared/environment/once.ts',
          from: "if (known.state === 'done' || known.state === 'failed') return known",
          to: "if (known.state !== 'told') return known",
        },
      ],
    },
  },
  {
    trace: 'once-told-again',
    title: 'a controller that dies before it has told the run tells it once',
    run: async (s) => {
      await fleet(s)
      const v2 = s.deploy('v2')
      await s.recorded('once-told')
      s.world.controller.crash(3000)
      assert.equal(await s.exitCode(v2), 0)
      assert.deepEqual(s.starts('v2'), ['h0'])
    },
    without: {
      rule: 'That the run was told is recorded with the decision that tells it.',
      edits: [
        {
          file: 'shared/environment/barrier.ts',
          from: 'const recorded = withRecord(s, { once: withOnce(s.record.once, run) })',
          to: 'const recorded = s',
        },
      ],
    },
  },
  {
    trace: 'once-opinions',
    title: 'hosts that declare another run are not ready, and nobody runs anything',
    run: async (s) => {
      await s.fleet(['h0'], null, migration)
      await s.committed('v1')
      await s.fleet(['h1'], null, another)
      await s.world.settle()
      const v2 = s.deploy('v2', { waitMs: 20_000 })
      assert.equal(await s.exitCode(v2), 4)
      assert.equal(s.rollout(v2).reason, 'stage-deadline')
      assert.deepEqual(s.starts('v2'), [])
    },
    without: {
      rule: 'Hosts that declare the run differently are not ready.',
      edits: [
        {
          file: 'shared/environment/once.ts',
          from: 'agreeing: ready.filter((p) => [null, wanted].includes(askedBy(p)))',
          to: 'agreeing: ready.filter((p) => [null, wanted, askedBy(p)].includes(askedBy(p)))',
        },
      ],
    },
  },
]

/** v1 is committed on two hosts that declare the same run. */
async function fleet(s: Script): Promise<void> {
  await s.fleet(['h0', 'h1'], null, migration)
  await s.committed('v1')
}

/** v2 is in `preparing`, and h0 makes its run, which takes this long. */
async function running(s: Script, onceMs: number): Promise<Asked> {
  await fleet(s)
  s.weather({ onceMs: [onceMs, onceMs] })
  const v2 = s.deploy('v2')
  await s.until('the run is under way', () => s.starts('v2').length > 0)
  return v2
}
