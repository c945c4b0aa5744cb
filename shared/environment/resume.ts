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
import { unchanged, withRollout } from './step.ts'

/**
 * Leases start empty, so a stage or roll back deadline leaves at least one more lease to report in.
 * An activate decision found past its deadline goes straight to the roll back: hosts may be on
 * either release, and nobody watched.
 * @param at the controller's clock, epoch milliseconds
 */
export function resume(record: EnvironmentRecord, at: number): Step {
  const state: EnvironmentState = { record, sessions: {} }
  switch (machinePhaseOf(record)) {
    case 'settled':
    case 'fenced':
      return unchanged(state)
    case 'staging':
    case 'rolling-back':
      return unchanged(
        withRollout(state, (rollout) => ({
          ...rollout,
          deadlineAt: Math.max(rollout.deadlineAt, at + limits.leaseMs),
        })),
      )
    case 'activating':
    case 'verifying': {
      const late = (openRolloutOf(record)?.deadlineAt ?? 0) <= at
      return late ? rollBack(state, 'controller-was-away', [], at) : unchanged(state)
    }
  }
}
