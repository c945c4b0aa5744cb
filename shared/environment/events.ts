// Everything that can happen to an environment, and everything that it can ask for.
// Times are the controller's clock, epoch milliseconds; ids are made by the caller.

import type { Fence } from '../fence.ts'
import type { Release } from '../release.ts'
import type { Report } from '../report.ts'
import type { Decision } from './decision.ts'
import type { RefusalCode, Requirement, Rollout, RolloutReason } from './rollout.ts'
import type { EnvironmentState } from './state.ts'

/** A requirement as asked for: `all`, at least N hosts, or at least P per cent of them. */
export type RequestedRequirement = Pick<Requirement, 'kind' | 'value'>

export interface RolloutRequest {
  readonly id: string
  readonly release: Release
  readonly requirement: RequestedRequirement
  /** How long to wait for readiness, milliseconds. */
  readonly waitMs: number
  /** Host id → reason. */
  readonly exclude: Readonly<Record<string, string>>
  readonly allowEmpty: boolean
  readonly requestedBy: string
  readonly requestKey: string | null
}

interface EventArgs {
  'release-desired': { at: number; ticket: number; request: RolloutRequest }
  /** `rollout` null cancels whichever is open. */
  'cancel-requested': { at: number; ticket: number; rollout: string | null }
  'recover-requested': { at: number; ticket: number; run: Release | null }
  'host-joined': { at: number; host: string; name: string }
  'host-removed': { at: number; host: string }
  /** `recorded`: whether the fence, hash included, stands in this controller's records. */
  'host-reported': {
    at: number
    host: string
    session: number
    report: Report
    recorded: boolean
  }
  'session-closed': { at: number; host: string; session: number }
  'deadline-passed': { at: number }
}

export type EventType = keyof EventArgs
export type EventOf<T extends EventType> = { [K in T]: { type: K } & EventArgs[K] }[T]
export type EnvironmentEvent = EventOf<EventType>

/** The answer to a request, given only after what it says is durable. */
export type Answer =
  | { outcome: 'started' | 'open' | 'returned' | 'cancelled'; rollout: Rollout }
  | { outcome: 'unchanged'; release: Release }
  | { outcome: 'recovered'; release: Release | null }
  | {
      outcome: 'refused'
      code: RefusalCode
      message: string
      hint: string
      details?: Record<string, unknown>
    }

/** What is recorded with the state in the same transaction: the history that people read. */
export type Fact =
  | { type: 'decided'; decision: Decision }
  | { type: 'rollout-started'; rollout: Rollout }
  | { type: 'barrier-opened'; rollout: Rollout }
  | { type: 'verifying-started'; rollout: Rollout }
  | { type: 'roll-back-started'; rollout: Rollout; hosts: readonly string[] }
  | { type: 'rollout-ended'; rollout: Rollout }
  | { type: 'host-joined' | 'host-removed'; host: string; name: string }
  | { type: 'host-dropped'; rollout: Rollout; host: string; name: string; reason: RolloutReason }
  | { type: 'fenced'; host: string; fence: Fence; why: string }
  | { type: 'unfenced'; host: string }
  | { type: 'recovered'; term: number; release: Release | null }

/** What is done after the save. Every effect may be repeated without harm. */
export type Effect =
  | { type: 'tell'; host: string }
  | { type: 'tell-all' }
  | { type: 'answer'; ticket: number; answer: Answer }

export interface Step {
  readonly state: EnvironmentState
  readonly facts: readonly Fact[]
  readonly effects: readonly Effect[]
}
