// What the journal has to hold before anything is done. What a swap needs is saved with the decision
// itself, so that at `activateAt` nothing happens but the rename.

import type { Step } from './events.ts'
import { canSwap, type Goal, goalOf, isAtGoal, isUncommitted, keepsStill } from './goal.ts'
import { withoutGoneTrees } from './preflight.ts'
import { type ActivationState, isObstructed, type Journal, linkOf } from './state.ts'
import { only } from './step.ts'

export function prepareJournal(state: ActivationState): Step {
  const pruned = { ...state, journal: withoutGoneTrees(state.journal, state.disk) }
  // A swap that a lower fence began has not said yet where `current` is.
  if (state.acting?.kind === 'activate') return only(pruned)
  const writers = [withBefore, withoutNeedlessSteps, withOwedSteps]
  const prepared = writers.reduce((next, write) => ({ ...next, journal: write(next) }), pruned)
  return only(prepared.journal === state.journal ? state : prepared)
}

/** The *before* is written once, and forgotten when it is over. */
function withBefore(state: ActivationState): Journal {
  const { journal, disk } = state
  const { told, before } = journal
  if (told === null || keepsStill(state)) return journal
  const goal = goalOf(state)
  if (isUncommitted(told)) {
    if (before !== null || isAtGoal(state, goal) || isObstructed(state)) return journal
    return { ...journal, before: { link: linkOf(disk.current) } }
  }
  return before !== null && isBeforeSettled(state, goal) ? { ...journal, before: null } : journal
}

/** A *before* ends when a release is committed, or when the host is back on it. */
function isBeforeSettled(state: ActivationState, goal: Goal): boolean {
  if (goal.kind === 'release') return true
  if (goal.kind === 'before') return isAtGoal(state, goal)
  return state.disk.current.kind === 'none'
}

/** The link has never left what it was: there is nothing that reload steps could follow. */
function withoutNeedlessSteps(state: ActivationState): Journal {
  const { journal, disk } = state
  const { reloadDue, previous } = journal
  if (!reloadDue || previous === null || isObstructed(state)) return journal
  const isUntouched = linkOf(disk.current) === previous.link && isAtGoal(state, goalOf(state))
  return isUntouched ? { ...journal, reloadDue: false } : journal
}

/** That the steps are due, what they follow on, and whether that was a way back. */
function withOwedSteps(state: ActivationState): Journal {
  const { journal, disk } = state
  const goal = goalOf(state)
  if (goal.kind === 'stay' || isAtGoal(state, goal) || !canSwap(state, goal)) return journal
  const link = linkOf(disk.current)
  const rollingBack = journal.told?.kind === 'roll-back'
  const isOwed = journal.reloadDue && journal.previous?.link === link
  if (isOwed && journal.rollingBack === rollingBack) return journal
  return { ...journal, reloadDue: true, rollingBack, previous: { link } }
}
