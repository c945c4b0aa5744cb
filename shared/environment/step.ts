// How a transition is put together: small functions that each take a state and give a step.

import { decide, type Decision, type DecisionContent } from './decision.ts'
import type { Answer, Effect, Fact, Step } from './events.ts'
import type { OpenPhase, Participant, Rollout } from './rollout.ts'
import { openRolloutOf, type EnvironmentRecord, type EnvironmentState } from './state.ts'

export function unchanged(state: EnvironmentState): Step {
  return { state, facts: [], effects: [] }
}

/** The second step taken on the state that the first one left. */
export function andThen(first: Step, next: (state: EnvironmentState) => Step): Step {
  const second = next(first.state)
  return {
    state: second.state,
    facts: [...first.facts, ...second.facts],
    effects: [...first.effects, ...second.effects],
  }
}

export function withFacts(state: EnvironmentState, ...facts: Fact[]): Step {
  return { state, facts, effects: [] }
}

export function withEffects(state: EnvironmentState, ...effects: Effect[]): Step {
  return { state, facts: [], effects }
}

export function answering(state: EnvironmentState, ticket: number, answer: Answer): Step {
  return withEffects(state, { type: 'answer', ticket, answer })
}

export function withRecord(
  state: EnvironmentState,
  patch: Partial<EnvironmentRecord>,
): EnvironmentState {
  return { ...state, record: { ...state.record, ...patch } }
}

/** Replaces the open rollout; a state without one is left as it is. */
export function withRollout(
  state: EnvironmentState,
  change: (rollout: Rollout & { phase: OpenPhase }) => Rollout,
): EnvironmentState {
  const open = openRolloutOf(state.record)
  return open === null ? state : withRecord(state, { rollout: change(open) })
}

export function withParticipants(
  rollout: Rollout,
  change: (participant: Participant) => Participant,
): Rollout {
  const participants = Object.fromEntries(
    Object.entries(rollout.participants).map(([host, p]) => [host, change(p)]),
  )
  return { ...rollout, participants }
}

/** The rollout in its next phase, with the instant at which it came there. */
export function inPhase<R extends Rollout>(rollout: R, phase: Rollout['phase'], at: number): R {
  return { ...rollout, phase, phases: [...rollout.phases, { phase, at }] }
}

/** Records a decision under the next epoch, and tells everyone once it is saved. */
export function decided(state: EnvironmentState, content: DecisionContent, at: number): Step {
  const decision = nextDecision(state.record, content, at)
  return {
    state: withRecord(state, { decision }),
    facts: [{ type: 'decided', decision }],
    effects: [{ type: 'tell-all' }],
  }
}

function nextDecision(record: EnvironmentRecord, content: DecisionContent, at: number): Decision {
  const held = record.decision?.fence
  const epoch = held !== undefined && held.term === record.term ? held.epoch + 1 : 1
  const { app, environment, term } = record
  return decide(content, { app, environment, term, epoch }, at)
}
