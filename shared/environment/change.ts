// One transition as its invariants look at it: what was, what happened, what is and what was said.
// It reads the step only; none of the machine's own judgements is asked again.

import assert from 'node:assert/strict'
import type { Decision } from './decision.ts'
import type { EnvironmentEvent, Fact, Step } from './events.ts'
import type { Rollout } from './rollout.ts'
import type { EnvironmentRecord, EnvironmentState } from './state.ts'

/** What a controller does first after it was away counts as an event too. */
export type Cause = EnvironmentEvent | { readonly type: 'resumed'; readonly at: number }

export interface Change {
  readonly cause: Cause
  /** By the controller's clock, epoch milliseconds. */
  readonly at: number
  readonly before: EnvironmentRecord
  readonly after: EnvironmentRecord
  readonly sessions: EnvironmentState['sessions']
  readonly facts: readonly Fact[]
  readonly effects: Step['effects']
  /** Decided in this step, in order. */
  readonly decisions: readonly Decision[]
  /** Ended in this step, in order. */
  readonly ended: readonly Rollout[]
}

/** One sentence that must hold of every change; its key names it in the failure. */
export type Invariants = Readonly<Record<string, (change: Change) => void>>

export function changeOf(before: EnvironmentState, cause: Cause, step: Step): Change {
  return {
    cause,
    at: cause.at,
    before: before.record,
    after: step.state.record,
    sessions: step.state.sessions,
    facts: step.facts,
    effects: step.effects,
    decisions: step.facts.flatMap((fact) => (fact.type === 'decided' ? [fact.decision] : [])),
    ended: step.facts.flatMap((fact) => (fact.type === 'rollout-ended' ? [fact.rollout] : [])),
  }
}

/** @throws AssertionError whose message begins with the invariant's name. */
export function checkAll(invariants: Invariants, change: Change): void {
  for (const [name, holds] of Object.entries(invariants)) {
    try {
      holds(change)
    } catch (error) {
      if (!(error instanceof assert.AssertionError)) throw error
      const message = `${name}: ${error.message} (after ${change.cause.type})`
      throw new assert.AssertionError({ message })
    }
  }
}

export function isFenced(record: EnvironmentRecord): boolean {
  return Object.keys(record.fencedBy).length > 0
}

/** Every state of every rollout that the step went through, from the one that was there. */
export function rolloutsOf(change: Change): readonly Rollout[] {
  const said = change.facts.flatMap((fact) => ('rollout' in fact ? [fact.rollout] : []))
  return [change.before.rollout, ...said, change.after.rollout].filter((r) => r !== null)
}
