// The health gate of what runs: when it is due, how much of it, and what was found. What the host
// says of its health rests on it; what is served does not.

import { sameFence } from '../fence.ts'
import { type Release, sameRelease } from '../release.ts'
import type { ProbeMode, StepOutcome } from './events.ts'
import { attestsGoal } from './attest.ts'
import { goalOf, isCounted } from './goal.ts'
import { type ActivationState, unproven } from './state.ts'

/** Whether the release that runs has passed under the persisted fence. */
export function hasPassedGate(state: ActivationState): boolean {
  const { fence } = state.journal
  return fence !== null && sameFence(state.gate.passed, fence)
}

/** The release whose gate is due; null while anything else is to be staged or swapped. */
export function gateSubject(state: ActivationState): Release | null {
  const { told } = state.journal
  if (told === null || told.stage !== null) return null
  const goal = goalOf(state)
  if (goal.kind !== 'release' || !attestsGoal(state, goal)) return null
  return hasPassedGate(state) && !state.gate.due ? null : goal.release
}

/** The whole window after a swap, its steps or a restart; a new fence alone needs a word only. */
export function probeModeOf({ gate }: ActivationState, release: Release): ProbeMode {
  return gate.proven !== null && sameRelease(gate.proven, release) ? 'confirm' : 'whole'
}

/** Between waves, hosts that were healthy once are asked again and again. */
export function dueWhileSoaking(state: ActivationState): ActivationState['gate'] {
  const { told } = state.journal
  return told !== null && isCounted(told) ? { ...state.gate, due: true } : state.gate
}

export function judged(
  { journal }: ActivationState,
  release: Release,
  { kind }: StepOutcome,
): ActivationState['gate'] {
  return kind === 'done' ? { proven: release, passed: journal.fence, due: false } : unproven
}
