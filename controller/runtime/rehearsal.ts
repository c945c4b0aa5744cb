// What a request for a release would come to, from the machine that would take it, without asking it:
// the transition is pure, so nothing is saved, told or started.

import type { Answer, RolloutRequest, Step } from '#shared/environment/events.ts'
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
  const answer = answerIn(step)
  if (answer === undefined) throw new Error('the machine answers every request')
  return { answer, starts: isStart(state, step) }
}

/** Whether what a request did is what people can hold up: `starts` of its rehearsal. */
export function isStart(before: EnvironmentState, step: Step): boolean {
  const outcome = answerIn(step)?.outcome
  const isEnding = outcome === 'returned' || outcome === 'refused'
  return !isEnding && step.state.record !== before.record
}

function answerIn({ effects }: Step): Answer | undefined {
  return effects.flatMap((e) => (e.type === 'answer' ? [e.answer] : []))[0]
}
