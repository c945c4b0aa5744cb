// What a request for a release would come to, from the machine that would take it, without asking it:
// the transition is pure, so nothing is saved, told or started.

import type { Answer, RolloutRequest } from '#shared/environment/events.ts'
import type { EnvironmentState } from '#shared/environment/state.ts'
import { transition } from '#shared/environment/transition.ts'

export interface Rehearsal {
  readonly answer: Answer
  /** Whether hosts would be told to run something else, or to stage it. */
  readonly starts: boolean
}

/** @param at the controller's clock, epoch milliseconds */
export function rehearse(state: EnvironmentState, request: RolloutRequest, at: number): Rehearsal {
  const step = transition(state, { type: 'release-desired', at, ticket: 0, request })
  const answer = step.effects.flatMap((e) => (e.type === 'answer' ? [e.answer] : []))[0]
  if (answer === undefined) throw new Error('the machine answers every request')
  const isEnding = answer.outcome === 'returned' || answer.outcome === 'refused'
  return { answer, starts: !isEnding && step.state.record !== state.record }
}
