// What the controller says that the environment runs for good, apart from what it is trying.

import { type Release, sameRelease } from '../release.ts'
import { attestsGoal } from './attest.ts'
import { isCounted, toldGoalOf } from './goal.ts'
import type { ActivationState } from './state.ts'

/** Told as what runs, or what is gone back to, under no activation that is still on trial. */
export function isSaidCommitted({ journal }: ActivationState, release: Release): boolean {
  const { told } = journal
  return told !== null && !isCounted(told) && sameRelease(told.run.release, release)
}

/** The release that is said to be committed, once the disk attests that this host runs it. */
export function committedRelease(state: ActivationState): Release | null {
  const goal = toldGoalOf(state)
  if (goal.kind !== 'release' || !isSaidCommitted(state, goal.release)) return null
  return attestsGoal(state, goal) ? goal.release : null
}
