// What one agent is told of one app: always the whole of it, never a change to it.

import type { DecisionKind } from './environment/decision.ts'
import type { Fence } from './fence.ts'
import type { Release } from './release.ts'

export interface Desired {
  readonly fence: Fence
  readonly kind: DecisionKind
  /** True for a host that is excluded or drained: hold what runs, stage nothing. */
  readonly hold: boolean
  /** True for a host that was taken out: it does not serve until it is let in again. */
  readonly drain: boolean
  readonly run: {
    /** Null while nothing is committed and no activation decided: the host's own *before*. */
    readonly release: Release | null
    readonly fallback: Release | null
    /** Not before this instant of the controller's clock, epoch milliseconds; null: on receipt. */
    readonly activateAt: number | null
  }
  readonly stage: Release | null
  /** True for the host that is elected to run the once hook of `stage`, under this fence. */
  readonly once: boolean
  /** The environment's activations, newest first: the order in which clean-up keeps releases. */
  readonly history: readonly Release[]
}
