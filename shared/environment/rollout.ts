// A rollout: one attempt to move one environment to one release, with everything that is recorded
// of it. Pure data and the questions that are asked of it.

import type { ErrorCode } from '../errors.ts'
import type { Activation, Failure, HostPhase } from '../report.ts'
import type { Release } from '../release.ts'

export type OpenPhase = 'staging' | 'activating' | 'verifying' | 'rolling-back'
export type EndPhase = 'committed' | 'rolled-back' | 'aborted' | 'failed'
export type RolloutPhase = OpenPhase | EndPhase

/** Why a rollout ended, or why it is going back. */
export type RolloutReason =
  | 'all-healthy'
  /** Nobody was there to activate it: whoever joins later runs it. */
  | 'no-hosts'
  | 'cancelled'
  | 'superseded'
  | 'stage-deadline'
  | 'no-participants'
  | 'host-failed'
  | 'host-removed'
  | 'activation-deadline'
  | 'verify-deadline'
  | 'controller-was-away'
  | 'recovered'

/**
 * Who must be ready: everyone, or a floor. `hostsMin` is the N that was fixed at the request, for
 * a percentage too; null for `all`.
 */
export interface Requirement {
  readonly kind: 'all' | 'count' | 'percent'
  readonly value: number
  readonly hostsMin: number | null
}

export interface Attestation {
  /** The epoch that the report bore. */
  readonly epoch: number
  /** `active`: on the target; `healthy`; `back`: on the fallback; `kept`: nothing to go back to. */
  readonly kind: 'active' | 'healthy' | 'back' | 'kept'
}

export interface Participant {
  readonly host: string
  readonly name: string
  readonly wave: number
  /** Whether an activate decision was taken for this host; frozen with that decision. */
  readonly counted: boolean
  /**
   * `participating`; `left-behind` by the decision; `dropped` after it, under the policy;
   * `removed` from the fleet.
   */
  readonly state: 'participating' | 'left-behind' | 'dropped' | 'removed'
  /** The last thing it attested under a decision's fence. */
  readonly attested: Attestation | null
  readonly activation: Activation | null
  /** The last failure that it reported in this rollout. */
  readonly failure: Failure | null
  /** What was heard of it when the rollout ended; null while it is open. */
  readonly endPhase: HostPhase | 'unknown' | null
}

export interface Rollout {
  readonly id: string
  readonly app: string
  readonly environment: string
  /** The release to move to, and the committed release of when it began. */
  readonly target: Release
  readonly fallback: Release | null
  readonly phase: RolloutPhase
  /** Null while nothing is amiss. */
  readonly reason: RolloutReason | null
  readonly requirement: Requirement
  readonly participants: Readonly<Record<string, Participant>>
  readonly excluded: Readonly<Record<string, string>>
  /** When the open phase is judged, epoch milliseconds. */
  readonly deadlineAt: number
  /** What was told with the newest activate decision, epoch milliseconds. */
  readonly activateAt: number | null
  readonly phases: readonly { readonly phase: RolloutPhase; readonly at: number }[]
  /** Counted hosts of whom nothing is known at the end: neither success nor failure. */
  readonly unknown: readonly string[]
  readonly requestedBy: string
  /** The request's Idempotency-Key: a repeat of it is answered with this rollout. */
  readonly requestKey: string | null
}

export function isOpen(phase: RolloutPhase): phase is OpenPhase {
  return (
    phase === 'staging' ||
    phase === 'activating' ||
    phase === 'verifying' ||
    phase === 'rolling-back'
  )
}

/** In the order of their names, so that every list and every decision is the same everywhere. */
export function participantsOf(rollout: Rollout): readonly Participant[] {
  return Object.values(rollout.participants).sort((a, b) =>
    a.name < b.name ? -1 : a.name > b.name ? 1 : a.host < b.host ? -1 : 1,
  )
}

/** Counted hosts that the rollout still answers for. */
export function countedOf(rollout: Rollout): readonly Participant[] {
  return participantsOf(rollout).filter((p) => p.counted && p.state === 'participating')
}

/** The hosts that are still asked to be ready. */
export function stagingOf(rollout: Rollout): readonly Participant[] {
  return participantsOf(rollout).filter((p) => p.state === 'participating')
}

/** At least one host, always: nothing is ever decided for nobody. */
export function hostsMinOf(rollout: Rollout, participants: number): number {
  return Math.max(1, rollout.requirement.hostsMin ?? participants)
}

export interface Skew {
  /** First to last rename of the counted hosts, milliseconds. */
  skewMs: number
  /** The clocks may be wrong by this, milliseconds. */
  skewErrorMs: number
}

/**
 * Null until two hosts have reported their swap, and while one that has swapped cannot say when:
 * what is left out could be the worst.
 */
export function skewOf(rollout: Rollout): Skew | null {
  const hasSwapped = (p: Participant) => ['active', 'healthy'].includes(p.attested?.kind ?? '')
  const isSilent = (p: Participant) => p.counted && hasSwapped(p) && p.activation === null
  if (participantsOf(rollout).some(isSilent)) return null
  const activations = Object.values(rollout.participants).flatMap((p) =>
    p.counted && p.activation !== null ? [p.activation] : [],
  )
  if (activations.length < 2) return null
  const instants = activations.map((a) => a.activatedAt)
  const errors = activations.map((a) => a.errorMs).sort((a, b) => b - a)
  return {
    skewMs: Math.max(...instants) - Math.min(...instants),
    skewErrorMs: (errors[0] ?? 0) + (errors[1] ?? 0),
  }
}

/** The CLI's exit code for an ended rollout: the same truth as the phase. */
export function exitCodeOf(rollout: Rollout): 0 | 1 | 3 | 4 | 5 | null {
  switch (rollout.phase) {
    case 'committed':
      return 0
    case 'failed':
      return 1
    case 'rolled-back':
      return rollout.unknown.length === 0 ? 3 : 5
    case 'aborted':
      return 4
    case 'staging':
    case 'activating':
    case 'verifying':
    case 'rolling-back':
      return null
  }
}

export type RefusalCode = Extract<
  ErrorCode,
  | 'fenced'
  | 'rollout-open'
  | 'no-hosts'
  | 'nobody-selected'
  | 'too-few-hosts'
  | 'nothing-to-cancel'
  | 'not-fenced'
  | 'run-required'
  | 'unknown-host'
>
