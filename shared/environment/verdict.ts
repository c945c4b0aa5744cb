// What the end of a rollout says of the release in that environment: that it runs, that it failed on
// its hosts, or nothing, as when a person stopped it or too few hosts were there.

import type { Rollout } from './rollout.ts'

export type Verdict = 'committed' | 'failed'

/** Reasons that lie with the release on its hosts. */
const hostReasons: ReadonlySet<string> = new Set([
  'host-failed',
  'activation-deadline',
  'verify-deadline',
  'once-failed',
])

const failedEnds: ReadonlySet<string> = new Set(['rolled-back', 'failed', 'aborted'])

/** Null where the end says nothing of the release, and while the rollout is open. */
export function verdictOf({ phase, reason }: Pick<Rollout, 'phase' | 'reason'>): Verdict | null {
  if (phase === 'committed') return 'committed'
  return failedEnds.has(phase) && hostReasons.has(reason ?? '') ? 'failed' : null
}
