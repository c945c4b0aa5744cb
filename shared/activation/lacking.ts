// What the host lacks of what it was told, and the stage that brings it.

import { type Release, sameRelease } from '../release.ts'
import type { Step } from './events.ts'
import { goalOf, keepsStill } from './goal.ts'
import { type ActivationState, currentRelease, isHeld, isObstructed } from './state.ts'
import { doing, only } from './step.ts'

/** Fetches what is to run before what is only to be staged; one at a time. */
export function stageWhatLacks(state: ActivationState): Step {
  const wanted = lackingRelease(state)
  const { staging } = state
  if (staging !== null) {
    if (staging.cancelling || (wanted !== null && sameRelease(staging.release, wanted))) {
      return only(state)
    }
    return doing({ ...state, staging: { ...staging, cancelling: true } }, { type: 'cancel-stage' })
  }
  if (wanted === null || isObstructed(state) || state.failed.stage !== null) return only(state)
  return doing(
    { ...state, staging: { release: wanted, cancelling: false, progress: null } },
    { type: 'stage', release: wanted },
  )
}

/** The next release to be staged, whatever holds it up. */
export function lackingRelease(state: ActivationState): Release | null {
  const { told } = state.journal
  if (told === null || keepsStill(state)) return null
  const goal = goalOf(state)
  if (goal.kind === 'release' && !isUsable(state, goal.release)) return goal.release
  return told.stage !== null && !isUsable(state, told.stage) ? told.stage : null
}

/** A drifted tree is staged again: built anew, or repaired file by file where it is what runs. */
function isUsable(state: ActivationState, release: Release): boolean {
  if (!isHeld(state.disk, release)) return false
  if (state.attested[release.version]?.result !== 'drifted') return true
  const runs = currentRelease(state.disk)
  return state.config.drift === 'report' && runs !== null && sameRelease(runs, release)
}
