// Everything that can happen to an environment, and everything that it can ask for.
// Times are the controller's clock, epoch milliseconds; ids are made by the caller.

import type { Fence } from '../fence.ts'
import type { Release } from '../release.ts'
import type { Report } from '../report.ts'
import type { Decision } from './decision.ts'
import type { OnceRecord } from './once.ts'
import type { OncePolicy, RefusalCode, Requirement, Rollout, RolloutReason } from './rollout.ts'
import type { EnvironmentState } from './state.ts'

/** A requirement as asked for: `all`, at least N hosts, or at least P per cent of them. */
export type RequestedRequirement = Pick<Requirement, 'kind' | 'value'>

/** Which hosts a wave takes, of those that no earlier one took, in the order of their names. */
export interface WaveRequest {
  readonly name: string | null
  readonly hosts:
    | { readonly kind: 'count' | 'percent'; readonly value: number }
    | { readonly kind: 'hosts'; readonly hosts: readonly string[] }
  /** The rest after it, milliseconds; null: until somebody lets it go on. */
  readonly soakMs: number | null
}

export interface RolloutRequest {
  readonly id: string
  readonly release: Release
  readonly requirement: RequestedRequirement
  /** How long to wait for readiness, milliseconds. */
  readonly waitMs: number
  /** Host id → reason. */
  readonly exclude: Readonly<Record<string, string>>
  readonly allowEmpty: boolean
  /** None: one wave of all. Hosts that no wave takes form a last one. */
  readonly waves: readonly WaveRequest[]
  readonly once: OncePolicy
  /** Runs the once hook again although the last run may still be under way. */
  readonly force: boolean
  readonly requestedBy: string
  readonly requestKey: string | null
}

interface EventArgs {
  'release-desired': { at: number; ticket: number; request: RolloutRequest }
  /** `rollout` null cancels whichever is open. */
  'cancel-requested': { at: number; ticket: number; rollout: string | null }
  /** Between two waves: the next one may come. */
  'continue-requested': { at: number; ticket: number; rollout: string | null }
  /** No further wave before somebody lets it go on. */
  'pause-requested': { at: number; ticket: number; rollout: string | null }
  /** Takes a host out (a reason), or lets it in again (null). */
  'drain-requested': { at: number; ticket: number; host: string; reason: string | null }
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
  | { outcome: 'continued' | 'paused'; rollout: Rollout }
  | { outcome: 'drained'; host: string; reason: string | null }
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
  | { type: 'once-told'; rollout: Rollout; run: OnceRecord }
  | { type: 'once-ended'; run: OnceRecord }
  | { type: 'barrier-opened'; rollout: Rollout }
  | { type: 'wave-rested'; rollout: Rollout }
  | { type: 'verifying-started'; rollout: Rollout }
  | { type: 'roll-back-started'; rollout: Rollout; hosts: readonly string[] }
  | { type: 'rollout-ended'; rollout: Rollout }
  | { type: 'host-joined'; host: string; name: string }
  | { type: 'host-removed'; host: string; name: string }
  | { type: 'host-dropped'; rollout: Rollout; host: string; name: string; reason: RolloutReason }
  | { type: 'host-drained'; host: string; name: string; reason: string }
  | { type: 'host-let-in'; host: string; name: string }
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
