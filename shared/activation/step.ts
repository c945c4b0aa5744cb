// Steps of the machine, put together: a state, and what is done for it.

import type { ActivationEffect, Step } from './events.ts'
import type { ActivationState } from './state.ts'

export function only(state: ActivationState): Step {
  return { state, effects: [] }
}

export function doing(state: ActivationState, ...effects: ActivationEffect[]): Step {
  return { state, effects }
}

/** One after the other, each from the state that the one before has left. */
export function inOrder(
  state: ActivationState,
  steps: readonly ((state: ActivationState) => Step)[],
): Step {
  return steps.reduce<Step>((done, next) => {
    const { state: after, effects } = next(done.state)
    return { state: after, effects: [...done.effects, ...effects] }
  }, only(state))
}
