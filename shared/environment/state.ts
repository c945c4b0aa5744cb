// The state of one app in one environment, as the controller's machine holds it.
//
//            request                   barrier              all active          all healthy, last wave
//   settled ────────▶ staging ───────────────────▶ activating ─────────▶ verifying ─────────────▶ settled
//      ▲               │    └─▶ preparing ─────────▶ │  ▲                   │  │              (committed)
//      │               │         │ once run done     │  └───────────────────┘  │
//      │               │ cancel, deadline,           │    the next wave        │
//      │               ▼         ▼ nobody left       │ unhealthy, late, lost, cancel
//      │◀──────────────┴─────────┘ (aborted)         └──────────┬──────────────┘
//      │                                                        ▼
//      │◀────────────────────────────────────────────────── rolling-back
//        (rolled-back, failed)
//
// `preparing` is there where hosts declare a once hook that has not run for this tree (once.ts).
// `fenced` overlays every phase: nothing is decided or told until it is recovered.

import type { Fence } from '../fence.ts'
import type { Release } from '../release.ts'
import type { Report } from '../report.ts'
import type { Decision } from './decision.ts'
import type { OnceRecord } from './once.ts'
import { isOpen, type OpenPhase, type Rollout } from './rollout.ts'

export interface Member {
  readonly host: string
  readonly name: string
}

export interface FencedBy {
  readonly fence: Fence
  readonly why: 'higher-fence' | 'unknown-hash' | 'fence-conflict'
}

/** What is saved, whole, in one transaction before anything acts on it. */
export interface EnvironmentRecord {
  readonly app: string
  readonly environment: string
  /** The term of the next decision. */
  readonly term: number
  readonly committed: Release | null
  readonly desired: Release | null
  /** The newest decision; null until the first request. */
  readonly decision: Decision | null
  /** The open rollout, or the last that ended. */
  readonly rollout: Rollout | null
  readonly members: Readonly<Record<string, Member>>
  /** Host → reason; holds until a rollout that does not exclude it. */
  readonly excluded: Readonly<Record<string, string>>
  /** Host → reason: taken out by an operator, until it is let in again. */
  readonly drained: Readonly<Record<string, string>>
  /** Tree digest → what is known of its once run. */
  readonly once: Readonly<Record<string, OnceRecord>>
  /** Host → what it holds that this controller never recorded; not empty means fenced. */
  readonly fencedBy: Readonly<Record<string, FencedBy>>
  /** Releases that were activated here, newest first. */
  readonly history: readonly Release[]
}

export interface SessionView {
  /** Grows with every session of this controller process. */
  readonly session: number
  readonly open: boolean
  readonly report: Report
  /** Of the last report, by the controller's clock, epoch milliseconds. */
  readonly reportedAt: number
}

/** What is only heard, never saved: it is reported again after a restart. */
export interface EnvironmentState {
  readonly record: EnvironmentRecord
  readonly sessions: Readonly<Record<string, SessionView>>
}

/** The rows of the transition table. */
export type MachinePhase = 'settled' | 'fenced' | OpenPhase

export function machinePhaseOf(record: EnvironmentRecord): MachinePhase {
  if (Object.keys(record.fencedBy).length > 0) return 'fenced'
  const open = openRolloutOf(record)
  return open === null ? 'settled' : open.phase
}

export type OpenRollout = Rollout & { readonly phase: OpenPhase }

export function openRolloutOf(record: EnvironmentRecord): OpenRollout | null {
  const { rollout } = record
  if (rollout === null || !isOpen(rollout.phase)) return null
  return { ...rollout, phase: rollout.phase }
}

export function emptyRecord(app: string, environment: string): EnvironmentRecord {
  return {
    app,
    environment,
    term: 1,
    committed: null,
    desired: null,
    decision: null,
    rollout: null,
    members: {},
    excluded: {},
    drained: {},
    once: {},
    fencedBy: {},
    history: [],
  }
}

/** When the open phase has to be judged, epoch milliseconds; null when nothing waits. */
export function nextDeadlineAt(record: EnvironmentRecord): number | null {
  if (machinePhaseOf(record) === 'fenced') return null
  return openRolloutOf(record)?.deadlineAt ?? null
}
