// The preflight: whether host and release fit, and hook `after-stage`, once per tree. It is due
// before ready is promised, and before a host that converges by itself swaps.

import type { Desired } from '../desired.ts'
import { sameFence } from '../fence.ts'
import type { Release } from '../release.ts'
import { attestsGoal, isAttested } from './attest.ts'
import type { Step } from './events.ts'
import { canSwap, goalOf, isAtGoal, isCounted, keepsStill } from './goal.ts'
import { type ActivationState, type Disk, isHeld, isObstructed, type Journal } from './state.ts'
import { only } from './step.ts'

/** Whether the release has passed under the persisted fence. */
export function hasPreflight(state: ActivationState, { tree }: Release): boolean {
  const { fence } = state.journal
  return fence !== null && sameFence(state.fit[tree] ?? null, fence)
}

/** It has been built anew: what was tried before was another. */
export function untried(fit: ActivationState['fit'], { tree }: Release): ActivationState['fit'] {
  return Object.fromEntries(Object.entries(fit).filter(([tried]) => tried !== tree))
}

/** Who was counted has passed it to be ready; and nothing may stand in the way of a roll back. */
export function swapsWithoutPreflight(told: Desired): boolean {
  return isCounted(told) || told.kind === 'roll-back'
}

/** A release that was found to run under this decision needs no trial to be gone back to. */
export function fitWhatRuns(state: ActivationState): Step {
  const { fence } = state.journal
  const goal = goalOf(state)
  if (fence === null || goal.kind !== 'release' || !attestsGoal(state, goal)) return only(state)
  if (hasPreflight(state, goal.release)) return only(state)
  return only({ ...state, fit: { ...state.fit, [goal.release.tree]: fence } })
}

/** The release whose preflight is due, whether or not it failed before. */
export function preflightSubject(state: ActivationState): Release | null {
  const { told } = state.journal
  if (told === null || keepsStill(state) || isObstructed(state)) return null
  const goal = goalOf(state)
  if (goal.kind === 'release' && !isAtGoal(state, goal) && canSwap(state, goal)) {
    const isDue = !swapsWithoutPreflight(told) && !hasPreflight(state, goal.release)
    if (isDue) return goal.release
  }
  const { stage } = told
  if (stage === null || !isHeld(state.disk, stage) || !isAttested(state, stage)) return null
  return hasPreflight(state, stage) ? null : stage
}

/** Hook `after-stage` has run to its good end: it is not run for this tree again. */
export function withAfterStage(journal: Journal, { tree }: Release): Journal {
  const { afterStageDone } = journal
  if (afterStageDone.includes(tree)) return journal
  return { ...journal, afterStageDone: [...afterStageDone, tree] }
}

/** A tree that the host no longer holds is a new one when it comes again. */
export function withoutGoneTrees(journal: Journal, disk: Disk): Journal {
  const kept = journal.afterStageDone.filter((tree) => disk.held.some((held) => held.tree === tree))
  return kept.length === journal.afterStageDone.length
    ? journal
    : { ...journal, afterStageDone: kept }
}
