// Where `current` ought to point, from what was told and from the host's own *before*.

import type { Desired } from '../desired.ts'
import { type Release, sameRelease } from '../release.ts'
import type { Standing } from '../report.ts'
import { type ActivationState, currentRelease, isHeld, isObstructed, linkOf } from './state.ts'

export type Goal =
  | { kind: 'release'; release: Release }
  /** Back to the link of before the first uncommitted activation. */
  | { kind: 'before'; link: string }
  /** Leave `current` as it is. */
  | { kind: 'stay' }

/** Nothing is to change: it was told nothing, told to hold, or its own operator holds it. */
export function keepsStill({ journal, disk }: ActivationState): boolean {
  return journal.told === null || journal.told.hold || disk.hold !== null
}

export function goalOf(state: ActivationState): Goal {
  return keepsStill(state) ? { kind: 'stay' } : toldGoalOf(state)
}

/** Where it was told to be, whether or not its own operator lets it go there. */
export function toldGoalOf({ journal }: ActivationState): Goal {
  const { told, before } = journal
  if (told === null || told.hold) return { kind: 'stay' }
  if (told.run.release !== null) return { kind: 'release', release: told.run.release }
  if (before !== null && before.link !== null) return { kind: 'before', link: before.link }
  return { kind: 'stay' }
}

export function isAtGoal(state: ActivationState, goal: Goal): boolean {
  switch (goal.kind) {
    case 'release': {
      const current = currentRelease(state.disk)
      return current !== null && sameRelease(current, goal.release)
    }
    case 'before':
      return linkOf(state.disk.current) === goal.link
    case 'stay':
      return true
  }
}

/** Only a release that is held, and was found whole by this process, is ever swapped to. */
export function canSwap(state: ActivationState, goal: Goal): boolean {
  if (isObstructed(state)) return false
  if (goal.kind !== 'release') return goal.kind === 'before'
  return (
    isHeld(state.disk, goal.release) && state.attested[goal.release.version]?.result === 'whole'
  )
}

/** An activate decision was taken for this host; the others are told to stage meanwhile. */
export function isCounted(told: Desired): boolean {
  return told.kind === 'activate' && told.stage === null
}

/** An activation of a release while nothing is committed: the one swap that journals a *before*. */
export function isUncommitted(told: Desired): boolean {
  return isCounted(told) && told.run.release !== null && told.run.fallback === null
}

export function standingOf(state: ActivationState): Standing {
  const { told, before, reloadDue } = state.journal
  if (state.disk.hold !== null || told?.hold === true) return 'held'
  if (told === null) return 'before'
  // While a swap is under way the link that was last seen is no longer what the disk says.
  if (state.acting?.kind === 'activate') return 'elsewhere'
  const goal = goalOf(state)
  if (goal.kind === 'release') return isAtGoal(state, goal) ? 'run' : 'elsewhere'
  // What cannot be read says nothing, and so does the host.
  if (before !== null && state.disk.current.kind === 'unreadable') return 'elsewhere'
  const isThere = before === null || state.disk.current.kind === 'none'
  const isBack = goal.kind === 'before' ? isAtGoal(state, goal) : isThere
  // A way back is over when its steps are.
  if (isBack) return reloadDue ? 'elsewhere' : 'before'
  return goal.kind === 'before' ? 'elsewhere' : 'kept'
}
