// Who is ready, and who has attested what: pure questions about reports, judged at one instant.

import { limits } from '../limits.ts'
import type { Release } from '../release.ts'
import type { Declares } from '../report.ts'
import { sameFence } from '../fence.ts'
import { countedOf, isOpen, type Participant, type Rollout } from './rollout.ts'
import type { EnvironmentState, SessionView } from './state.ts'

/** A session counts while it is open and its last report is at most a lease old. */
export function isHeard(view: SessionView | undefined, at: number): view is SessionView {
  return view !== undefined && view.open && at - view.reportedAt <= limits.leaseMs
}

/** Whether the host's fresh report bears the newest decision and promises both trees. */
export function isReady(
  state: EnvironmentState,
  rollout: Pick<Rollout, 'target' | 'fallback'>,
  host: string,
  at: number,
): boolean {
  const view = state.sessions[host]
  if (!isHeard(view, at)) return false
  const { report } = view
  // A host that failed promises nothing, whatever else it says.
  if (report.ready === null || report.failure !== null) return false
  if (!sameFence(report.fence, state.record.decision?.fence ?? null)) return false
  if (report.ready.target !== rollout.target.tree) return false
  if (report.ready.fallback !== (rollout.fallback?.tree ?? null)) return false
  return rollout.fallback === null
    ? report.standing === 'before' || report.standing === 'kept'
    : isOn(report.current, rollout.fallback)
}

/** What the host declared last, whether it is heard just now or not. */
export function declaresOf(state: EnvironmentState, host: string): Declares | null {
  return state.sessions[host]?.report.declares ?? null
}

/** The longest time that any of the hosts declares, within what may be declared; milliseconds. */
export function longestOf(
  state: EnvironmentState,
  hosts: readonly string[],
  durationOf: (declares: Declares) => number,
): number {
  const durations = hosts.flatMap((host) => {
    const declares = declaresOf(state, host)
    return declares === null ? [] : [durationOf(declares)]
  })
  return Math.min(limits.declaredMsMax, Math.max(0, ...durations))
}

/** What a report under the newest decision says of an activation or of a roll back. */
export function attestedBy(
  view: SessionView,
  rollout: Rollout,
): 'active' | 'healthy' | 'back' | 'kept' | null {
  const { report } = view
  if (rollout.phase === 'rolling-back') {
    // Its own gate is not waited for: the fallback is what ran before, and time counts now.
    const isBack = report.phase === 'active' || report.phase === 'healthy'
    if (rollout.fallback !== null) {
      return isBack && isOn(report.current, rollout.fallback) ? 'back' : null
    }
    if (report.standing === 'before') return 'back'
    return report.standing === 'kept' ? 'kept' : null
  }
  if (!isOpen(rollout.phase) || !isOn(report.current, rollout.target)) return null
  if (report.phase === 'healthy') return 'healthy'
  return report.phase === 'active' ? 'active' : null
}

/** Whether the participant's attestation was given under this epoch. */
export function hasAttested(
  participant: Participant,
  epoch: number,
  kinds: readonly ('active' | 'healthy' | 'back' | 'kept')[],
): boolean {
  const { attested } = participant
  return attested !== null && attested.epoch === epoch && kinds.includes(attested.kind)
}

/** Counted hosts whose newest word under the newest decision is not that they are healthy. */
export function unhealthyOf(
  { record }: EnvironmentState,
  rollout: Rollout,
): readonly Participant[] {
  const epoch = record.decision?.fence.epoch ?? 0
  return countedOf(rollout).filter((p) => !hasAttested(p, epoch, ['healthy']))
}

/** And those that are not heard just now: a host that its new release has killed says nothing. */
export function doubtfulOf(
  state: EnvironmentState,
  rollout: Rollout,
  at: number,
): readonly Participant[] {
  const unhealthy = unhealthyOf(state, rollout)
  return countedOf(rollout).filter(
    (p) => unhealthy.includes(p) || !isHeard(state.sessions[p.host], at),
  )
}

function isOn(current: Release | null, release: Release): boolean {
  return current !== null && current.tree === release.tree
}
