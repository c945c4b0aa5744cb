// What the end of a rollout says of its release: only what lies with the release.

import t from 'tap'
import type { RolloutPhase, RolloutReason } from '#shared/environment/rollout.ts'
import { verdictOf } from '#shared/environment/verdict.ts'

const table: readonly [RolloutPhase, RolloutReason | null, ReturnType<typeof verdictOf>][] = [
  ['committed', 'all-healthy', 'committed'],
  ['committed', 'no-hosts', 'committed'],
  ['rolled-back', 'host-failed', 'failed'],
  ['rolled-back', 'activation-deadline', 'failed'],
  ['rolled-back', 'verify-deadline', 'failed'],
  ['failed', 'host-failed', 'failed'],
  ['aborted', 'once-failed', 'failed'],
  ['aborted', 'once-unknown', null],
  ['aborted', 'stage-deadline', null],
  ['aborted', 'superseded', null],
  ['rolled-back', 'cancelled', null],
  ['rolled-back', 'host-removed', null],
  ['rolled-back', 'pause-deadline', null],
  ['rolled-back', 'controller-was-away', null],
  ['failed', 'cancelled', null],
  ['staging', null, null],
  ['rolling-back', 'host-failed', null],
]

void t.test('each end has its verdict, and what is open has none', async (t) => {
  for (const [phase, reason, verdict] of table) {
    t.equal(verdictOf({ phase, reason }), verdict, `${phase}, ${reason}`)
  }
})
