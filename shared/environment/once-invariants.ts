// What must hold of the once run: recorded with the decision that tells it, never told twice, and
// its result only by word of the host that was told, or of somebody who says so.

import assert from 'node:assert/strict'
import { type Invariants, isFenced } from './change.ts'

export const onceInvariants: Invariants = {
  'a-once-run-is-recorded-as-it-is-told': ({ before, after, decisions }) => {
    for (const { kind, counted, stage, fence, rollout } of decisions) {
      if (kind !== 'prepare') continue
      assert.ok(!isFenced(before) && before.rollout?.phase === 'staging')
      assert.equal(rollout, before.rollout.id)
      const known = after.once[stage?.tree ?? '']
      assert.equal(known?.state, 'told')
      assert.deepEqual(known.fence, fence)
      assert.deepEqual([known.host], counted)
    }
  },

  'a-once-run-is-never-told-twice': ({ before, decisions, facts }) => {
    for (const { kind, stage } of decisions) {
      if (kind !== 'prepare') continue
      // The report that opens the barrier may be the first that speaks of a run of before.
      const heard = facts.flatMap((fact) => (fact.type === 'once-ended' ? [fact.run] : []))
      const known = heard.find((run) => run.tree === stage?.tree) ?? before.once[stage?.tree ?? '']
      if (known === undefined || known.state === 'failed') continue
      assert.notEqual(known.state, 'told', 'it may be running')
      assert.equal(before.rollout?.once, 'run', `${known.state}, and nobody asked for it again`)
    }
  },

  'a-once-run-is-told-in-preparing-only': ({ after }) => {
    const { rollout } = after
    const told = Object.values(after.once).filter((run) => run.state === 'told')
    assert.ok(told.length <= 1)
    for (const run of told) {
      assert.ok(rollout?.phase === 'preparing' && run.rollout === rollout.id, 'nobody waits for it')
    }
  },

  'a-result-is-the-word-of-who-was-told': ({ before, after, cause }) => {
    if (before.once === after.once) return
    for (const run of Object.values(after.once)) {
      const was = before.once[run.tree]
      if (was?.state === run.state || !['done', 'failed'].includes(run.state)) continue
      if (cause.type === 'release-desired') {
        assert.equal(cause.request.once, 'done', 'done without a word')
        continue
      }
      assert.ok(cause.type === 'host-reported' && cause.host === run.host, 'said by another')
      assert.deepEqual(cause.report.once?.fence, run.fence)
      assert.equal(cause.report.once?.state, run.state)
    }
  },

  'what-is-not-done-is-not-forgotten': ({ before, after }) => {
    for (const run of Object.values(before.once)) {
      assert.ok(run.tree in after.once || run.state === 'done', `${run.tree} was forgotten`)
    }
  },
}
