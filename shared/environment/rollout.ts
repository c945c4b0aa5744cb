// A rollout: one attempt to move one environment to one release, with everything that is recorded
// of it. Pure data and the questions that are asked of it.

import type { ErrorCode } from '../errors.ts'
import type { Activation, Failure, HostPhase } from '../report.ts'
import type { Release } from '../release.ts'

export type OpenPhase = 'staging' | 'preparing' | 'activating' | 'verifying' | 'rolling-back'
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
  /** The run that a fleet makes once per release failed, or nobody knows how it ended. */
  | 'once-failed'
  | 'once-unknown'
  | 'host-failed'
  | 'host-removed'
  | 'activation-deadline'
  | 'verify-deadline'
  /** A later wave was not ready in its time, or nobody let it go on. */
  | 'wave-deadline'
  | 'pause-deadline'
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

/** Hosts that swap together; the next wave follows when they are healthy and the rest is over. */
export interface Wave {
  readonly name: string | null
  /** The rest before the next wave, milliseconds; null: until somebody lets it go on. */
  readonly soakMs: number | null
}

/** After a healthy wave, before the next: resting, held up by somebody, or at its barrier. */
export interface Between {
  readonly step: 'soak' | 'pause' | 'barrier'
  /** Epoch milliseconds. */
  readonly since: number
}

/** What the request says of the once run: it was done otherwise, or it is to run once more. */
export type OncePolicy = 'done' | 'run' | null

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
  /** At least one. */
  readonly waves: readonly Wave[]
  /** The wave that was opened last, from 0; 0 before the first. */
  readonly wave: number
  readonly between: Between | null
  readonly once: OncePolicy
  readonly participants: Readonly<Record<string, Participant>>
  readonly excluded: Readonly<Record<string, string>>
  /** When the open phase is judged, epoch milliseconds. */
  readonly deadlineAt: number
  /** How long the open phase was given, milliseconds: more is never left, whatever a clock does. */
  readonly givenMs: number
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
    phase === 'preparing' ||
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

/** The hosts that still take part: those counted, and those whose wave is yet to come. */
export function remainingOf(rollout: Rollout): readonly Participant[] {
  return participantsOf(rollout).filter((p) => p.state === 'participating')
}

/** The hosts of the wave that still take part and were not told to activate yet. */
export function comingOf(rollout: Rollout, wave: number): readonly Participant[] {
  return remainingOf(rollout).filter((p) => p.wave === wave && !p.counted)
}

/** The next wave in which there is anybody; null when there is none. */
export function nextWaveOf(rollout: Rollout): number | null {
  const waves = remainingOf(rollout).flatMap((p) => (p.counted ? [] : [p.wave]))
  return waves.length === 0 ? null : Math.min(...waves)
}

/** At least one host, always: nothing is ever decided for nobody. */
export function hostsMinOf(rollout: Rollout, participants: number): number {
  return Math.max(1, rollout.requirement.hostsMin ?? participants)
}

/**
 * How many hosts must remain once a decision to activate was taken. Without a policy: all that were
 * counted, whatever became of them, and all whose wave is yet to come.
 */
export function floorOf(rollout: Rollout): number {
  const taken = participantsOf(rollout).filter((p) => p.counted || p.state === 'participating')
  return hostsMinOf(rollout, taken.length)
}

/** The open phase is judged when this long has passed. */
export function given<R extends Rollout>(rollout: R, at: number, givenMs: number): R {
  return { ...rollout, deadlineAt: at + givenMs, givenMs }
}

export interface Skew {
  /** First to last rename of hosts that swap together, milliseconds: of the worst wave. */
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
  const skews = rollout.waves.flatMap((_, wave) => {
    const together = Object.values(rollout.participants).filter((p) => p.wave === wave)
    return waveSkew(together) ?? []
  })
  return skews.length === 0 ? null : skews.reduce((a, b) => (b.skewMs > a.skewMs ? b : a))
}

/** Null for fewer than two. */
function waveSkew(participants: readonly Participant[]): Skew | null {
  const activations = participants.flatMap((p) =>
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
    case 'preparing':
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
  | 'not-waiting'
  | 'once-unknown'
  | 'once-running'
  | 'not-fenced'
  | 'no-higher-term'
  | 'run-required'
  | 'unknown-host'
>
