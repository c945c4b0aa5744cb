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

/** What the host's own configuration asks of a rollout: times and a digest, never a command. */
export interface Declares {
  /** The longest that its health gate takes, milliseconds; 0 without one. */
  readonly gateMs: number
  /** The longest that its own hooks and reload steps take around the rename, milliseconds. */
  readonly activationMs: number
  /** SHA-256 of how it declares the run that a fleet makes once per release; null: not at all. */
  readonly once: string | null
  /** The longest that this run takes, milliseconds. */
  readonly onceMs: number
  /** Whether it runs too when the environment goes back to a release of before. */
  readonly onceWhenRollingBack: boolean
}

/** Of a host whose configuration asks for nothing. */
export const declaresNothing: Declares = {
  gateMs: 0,
  activationMs: 0,
  once: null,
  onceMs: 0,
  onceWhenRollingBack: false,
}

/** The last run of the once hook that this host was elected for. */
export interface OnceRun {
  readonly fence: Fence
  readonly tree: string
  /** `interrupted`: its end was not seen, and nothing of it runs any more. */
  readonly state: 'running' | 'done' | 'failed' | 'interrupted'
  /** Why it failed; null for every other state. */
  readonly message: string | null
}

/** How a host judges the releases of an app. */
export interface TrustSight {
  /**
   * `require`, `warn` and `off` as its trust file says; `none` without one, so that unsigned
   * releases are allowed; `broken` when it cannot be followed, so that nothing new is let in.
   */
  readonly policy: 'require' | 'warn' | 'off' | 'none' | 'broken'
  /** What people should hear of it: why it is broken, or whom a `warn` let through. */
  readonly note: string | null
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
  readonly declares: Declares
  readonly once: OnceRun | null
  /** Absent from agents that know no trust file. */
  readonly trust?: TrustSight
}
