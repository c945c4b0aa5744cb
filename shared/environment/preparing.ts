// While the once run is under way: its result, and readiness judged again after it.

import { limits } from '../limits.ts'
import { judgeBarrier, tryBarrier } from './barrier.ts'
import { abort } from './ending.ts'
import type { Step } from './events.ts'
import type { OnceRecord } from './once.ts'
import { given } from './rollout.ts'
import { openRolloutOf, type EnvironmentState } from './state.ts'
import { unchanged, withRollout } from './step.ts'

/** What follows from what is known of the run now. `was` is what was known before the event. */
export function judgeOnce(state: EnvironmentState, was: OnceRecord | null, at: number): Step {
  const run = onceOf(state)
  switch (run?.state) {
    case 'done': {
      // Leases may have lapsed meanwhile: whoever is late by one gets one more.
      const isNew = was?.state !== 'done'
      const granted = isNew
        ? withRollout(state, (rollout) => given(rollout, at, limits.leaseMs))
        : state
      return tryBarrier(granted, at)
    }
    case 'failed':
      return abort(state, 'once-failed', at)
    case 'unknown':
      return abort(state, 'once-unknown', at)
    case 'told':
    case undefined:
      return unchanged(state)
  }
}

/** No result in time is no result; after one, those that are ready by now. */
export function judgePreparing(state: EnvironmentState, at: number): Step {
  return onceOf(state)?.state === 'done'
    ? judgeBarrier(state, at)
    : abort(state, 'once-unknown', at)
}

/** Whether the elected host was the one that is gone: nobody will tell any more how it ended. */
export function judgeElectedRemoved(state: EnvironmentState, host: string, at: number): Step {
  const run = onceOf(state)
  if (run?.state === 'told' && run.host === host) return abort(state, 'once-unknown', at)
  return run?.state === 'done' ? tryBarrier(state, at) : unchanged(state)
}

/** What is known of the once run of the open rollout's target. */
export function onceOf({ record }: EnvironmentState): OnceRecord | null {
  const rollout = openRolloutOf(record)
  return rollout === null ? null : (record.once[rollout.target.tree] ?? null)
}
