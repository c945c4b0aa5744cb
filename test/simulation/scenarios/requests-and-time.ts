// Traces about what people ask for, and about controllers that were away.

import assert from 'node:assert/strict'
import type { Scenario } from './script.ts'

export const requestsAndTime: readonly Scenario[] = [
  {
    trace: 'T13b',
    title: 'another version is refused from the activate decision on',
    run: async (s) => {
      await s.fleet(['h0', 'h1'])
      await s.committed('v1')
      const v2 = s.deploy('v2')
      await s.recorded('barrier-opened')
      assert.equal(await s.answer(s.deploy('v3')), 'rollout-open')
      assert.equal(await s.answer(s.deploy('v2', { keyed: false })), 'open')
      assert.equal(await s.exitCode(v2), 0)
      assert.deepEqual(s.runs, { h0: 'v2', h1: 'v2' })
    },
    without: {
      rule: 'Another version is 409 from the first activate decision on.',
      edits: [
        {
          file: 'shared/environment/transition.ts',
          from: "const afterDecision: Handlers = {\n  'release-desired': answerOpenOrRefuse,",
          to: "const afterDecision: Handlers = {\n  'release-desired': supersede,",
        },
      ],
    },
  },
  {
    trace: 'T14',
    title: 'a controller that restarts after the decision tells the same decision',
    run: async (s) => {
      await s.fleet(['h0', 'h1'])
      await s.committed('v1')
      const v2 = s.deploy('v2')
      await s.recorded('barrier-opened')
      s.world.network.cutOff(s.host('h1').id)
      await s.until('h0 has heard', () => s.host('h0').disk.journal.told?.kind === 'activate')
      s.world.controller.crash(300)
      s.world.network.heal(s.host('h1').id)
      assert.equal(await s.exitCode(v2), 0)
      assert.equal(s.world.isFenced, false)
    },
    without: {
      rule: 'The hash covers the recorded decision, not what is measured again.',
      edits: [
        {
          file: 'shared/environment/decision.ts',
          from: 'canonicalJson({ ...place, ...hashed(content) })',
          to: 'canonicalJson({ ...place, ...hashed(content), decidedAt })',
        },
        {
          file: 'shared/environment/resume.ts',
          from: ': unchanged(withDeadline(state, at, at + limits.leaseMs))',
          to: ': unchanged({ ...state, record: { ...record, decision: again(record, at) } })',
        },
        {
          file: 'shared/environment/resume.ts',
          from: "import { unchanged, withParticipants, withRollout } from './step.ts'\n",
          to: "import { unchanged, withParticipants, withRollout } from './step.ts'\nimport { decide } from './decision.ts'\nconst again = ({ app, environment, decision }, at) => decide(decision, { app, environment, term: decision.fence.term, epoch: decision.fence.epoch }, at)\n",
        },
      ],
    },
  },
  {
    trace: 'T16',
    title: 'a stage deadline that passed while the controller was away waits one lease more',
    run: async (s) => {
      await s.fleet(['h0', 'h1'])
      await s.committed('v1')
      s.world.network.hold(s.host('h1').id, 'controller')
      const v2 = s.deploy('v2', { waitMs: 6000 })
      await s.recorded('rollout-started')
      await s.run(4000)
      s.world.network.take(s.host('h1').id, 'controller')
      s.world.controller.crash(3000)
      assert.equal(await s.exitCode(v2), 0)
      assert.deepEqual(s.runs, { h0: 'v2', h1: 'v2' })
    },
    without: {
      rule: 'After a restart past a deadline the judgement waits one more lease.',
      edits: [
        {
          file: 'shared/environment/resume.ts',
          from: "case 'rolling-back':\n      return unchanged(withDeadline(state, at, at + limits.leaseMs))",
          to: "case 'rolling-back':\n      return unchanged(withDeadline(state, at, at))",
        },
      ],
    },
  },
  {
    trace: 'T19',
    title: 'another version while staging supersedes, and desired stays the newer one',
    run: async (s) => {
      await s.fleet(['h0', 'h1'])
      await s.committed('v1')
      s.weather({ stageMs: [3000, 3000] })
      const v2 = s.deploy('v2')
      await s.recorded('rollout-started')
      const v3 = s.deploy('v3')
      assert.equal(await s.answer(v3), 'started')
      assert.equal(s.rollout(v2).phase, 'aborted')
      assert.equal(s.rollout(v2).reason, 'superseded')
      assert.equal(s.world.store.record.desired?.version, 'v3')
      assert.equal(await s.exitCode(v3), 0)
      assert.deepEqual(s.runs, { h0: 'v3', h1: 'v3' })
    },
    without: {
      rule: 'Another version supersedes while `staging`.',
      edits: [
        {
          file: 'shared/environment/transition.ts',
          from: "    'release-desired': supersede,\n",
          to: "    'release-desired': answerOpenOrRefuse,\n",
        },
      ],
    },
  },
  {
    trace: 'T20',
    title: 'a repeat with the same key starts nothing, though the first rollout has rolled back',
    run: async (s) => {
      await s.fleet(['h0', 'h1'])
      await s.committed('v1')
      s.weather({ swapFails: 1 })
      const v2 = s.deploy('v2')
      await s.recorded('roll-back-started')
      s.weather({})
      assert.equal(await s.exitCode(v2), 3)
      const repeat = s.world.operator.repeat('v2')
      await s.answer(repeat)
      assert.equal(repeat.rollout, v2.rollout)
      assert.equal(await s.exitCode(repeat), 3)
      assert.equal(s.world.store.record.rollout?.id, v2.rollout)
    },
    without: {
      rule: 'With `Idempotency-Key` a repeat returns the first rollout.',
      edits: [
        {
          file: 'controller/runtime/environment-runner.ts',
          from: "    if (first !== null) return { outcome: 'open', rollout: first }\n",
          to: '',
        },
      ],
    },
  },
  {
    trace: 'T20b',
    title: 'a repeat that comes while the first is being saved starts nothing either',
    run: async (s) => {
      await s.fleet(['h0', 'h1'])
      await s.committed('v1')
      s.weather({ storeMs: [200, 200] })
      const { operator, store } = s.world
      const v2 = s.deploy('v2')
      await s.run(5)
      operator.cancel()
      const repeat = operator.repeat('v2')
      assert.equal(await s.exitCode(v2), 4)
      await s.answer(repeat)
      assert.equal(repeat.rollout, v2.rollout)
      assert.equal(store.record.rollout?.id, v2.rollout)
    },
    without: {
      rule: 'Requests of one key are taken one after the other.',
      edits: [
        {
          file: 'controller/runtime/environment-runner.ts',
          from: 'return this.#turns.take(requestKey ?? id, () => this.#desire(request, { author, mayStart }))',
          to: 'return this.#desire(request, { author, mayStart })',
        },
      ],
    },
  },
  {
    trace: 'T21',
    title: 'an excluded host holds what it runs until a rollout that does not exclude it',
    run: async (s) => {
      await s.fleet(['h0', 'h1', 'h2'])
      await s.committed('v1')
      const h2 = s.host('h2')
      s.world.network.cutOff(h2.id)
      const v2 = s.deploy('v2', { exclude: [h2.id] })
      assert.equal(await s.exitCode(v2), 0)
      s.world.heal()
      await s.until('h2 has heard', () => h2.disk.journal.told?.hold === true)
      await s.run(20_000)
      assert.deepEqual(s.runs, { h0: 'v2', h1: 'v2', h2: 'v1' })
      assert.deepEqual(Object.keys(s.world.store.record.excluded), [h2.id])
      assert.equal(await s.exitCode(s.deploy('v3')), 0)
      await s.world.settle()
      assert.deepEqual(s.runs, { h0: 'v3', h1: 'v3', h2: 'v3' })
    },
    without: {
      rule: 'An excluded host is told to hold what it runs.',
      edits: [
        {
          file: 'shared/environment/tell.ts',
          from: 'if (drain || host in record.excluded)',
          to: 'if (drain)',
        },
      ],
    },
  },
]
