// What a controller does first after it was away: the saved record, with nobody heard yet.

import { limits } from '../limits.ts'
import { rollBack } from './ending.ts'
import type { Step } from './events.ts'
import {
  type EnvironmentRecord,
  type EnvironmentState,
  machinePhaseOf,
  openRolloutOf,
} from './state.ts'
import { unchanged, withParticipants, withRollout } from './step.ts'

/**
 * Leases start empty, and so does what was attested: every deadline that has not passed, and that of
 * a stage or a roll back that has, leaves at least one more lease to report in.
 * An activate decision found past its deadline goes straight to the roll back: hosts may be on
 * either release, and nobody watched.
 * @param at the controller's clock, epoch milliseconds
 */
export function resume(record: EnvironmentRecord, at: number): Step {
  const state = unheard({ record, sessions: {} })
  switch (machinePhaseOf(record)) {
    case 'settled':
      return unchanged(state)
    // No deadline runs, and when it runs again it gives everybody a lease.
    case 'fenced':
      return unchanged(withDeadline(state, at, at))
    case 'staging':
    case 'preparing':
    case 'rolling-back':
      return unchanged(withDeadline(state, at, at + limits.leaseMs))
    case 'activating':
    case 'verifying': {
      const rollout = openRolloutOf(record)
      // A rest between waves asks nobody for anything: it is judged late, once all were heard.
      if (rollout !== null && rollout.between !== null)
        return unchanged(withDeadline(state, at, at + limits.leaseMs))
      const late = (rollout?.deadlineAt ?? 0) <= at
      return late
        ? rollBack(state, 'controller-was-away', [], at)
        : unchanged(withDeadline(state, at, at + limits.leaseMs))
    }
  }
}

/**
 * What hosts attested they attest again: a record that was restored from a backup has the word of
 * hosts that may have moved on since, under decisions that it has lost.
 */
function unheard(state: EnvironmentState): EnvironmentState {
  return withRollout(state, (rollout) =>
    Object.values(rollout.participants).some((p) => p.attested !== null)
      ? withParticipants(rollout, (p) => ({ ...p, attested: null }))
      : rollout,
  )
}

/** Not before `earliestAt`; and no later than the phase was given, should the clock have gone back. */
function withDeadline(state: EnvironmentState, at: number, earliestAt: number): EnvironmentState {
  return withRollout(state, (rollout) => {
    const latestAt = Math.max(at + rollout.givenMs, earliestAt)
    const deadlineAt = Math.min(Math.max(rollout.deadlineAt, earliestAt), latestAt)
    return deadlineAt === rollout.deadlineAt ? rollout : { ...rollout, deadlineAt }
  })
}
