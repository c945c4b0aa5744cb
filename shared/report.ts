// What an agent says of one app: its persisted fence, what the disk says, and what it promises.

import type { ErrorCode } from './errors.ts'
import type { Fence } from './fence.ts'
import type { Release } from './release.ts'

/** The phases of a host; `unknown` is the controller's word for a host that it does not hear. */
export type HostPhase =
  | 'idle'
  | 'fetching'
  | 'staged'
  | 'ready'
  | 'activating'
  | 'active'
  | 'healthy'
  | 'failed'

/**
 * Where the host stands against what it was told to run:
 * `run` on that release; `before` nothing is committed and it is on what it ran before (or never
 * left it); `kept` nothing is committed, it has left and has nothing to go back to; `held` it was
 * told to hold what it runs; `elsewhere` anything else.
 */
export type Standing = 'run' | 'before' | 'kept' | 'held' | 'elsewhere'

export interface Failure {
  readonly code: ErrorCode
  readonly message: string
  readonly hint?: string
}

export interface Activation {
  /** When the rename returned, in the controller's clock, epoch milliseconds with fractions. */
  readonly activatedAt: number
  /** Half of the best round trip: the clocks may differ by this. */
  readonly errorMs: number
  /** `timed` at `activateAt`; `on-receipt` when the clock was too unsure or the time had passed. */
  readonly mode: 'timed' | 'on-receipt'
}

export interface Report {
  /** Grows with every report of a session; a lower one is old. */
  readonly seq: number
  readonly fence: Fence | null
  readonly phase: HostPhase
  readonly failure: Failure | null
  /** The release that `current` resolves to, attested from the disk; null for anything else. */
  readonly current: Release | null
  readonly standing: Standing
  /** The tree digests promised: both verified on disk, `current` on the fallback. */
  readonly ready: { readonly target: string; readonly fallback: string | null } | null
  readonly progress: { readonly bytes: number; readonly bytesTotal: number } | null
  /** The last swap under `fence`; null when there was none. */
  readonly activation: Activation | null
  /** Another decision heard under the agent's own term and epoch. */
  readonly conflict: Fence | null
  /** Best round trip and the error of the clock, milliseconds; null before the first measurement. */
  readonly clock: { readonly roundTripMs: number; readonly errorMs: number } | null
  /** Whether the host attests what it was told to run: the file `.lockstep/serving` is there. */
  readonly serving: boolean
}
