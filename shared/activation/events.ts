// Everything that can happen to an app on a host, and everything that its machine can ask for.

import type { Desired } from '../desired.ts'
import type { Fence } from '../fence.ts'
import type { Release } from '../release.ts'
import type { Activation, Failure } from '../report.ts'
import type { ActivationState, Disk, TrialKind } from './state.ts'

export type StageOutcome =
  | { readonly kind: 'staged' }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'failed'; readonly failure: Failure }

export type SwapOutcome =
  /** Without its instant while the controller's clock is not known. */
  | { readonly kind: 'swapped'; readonly activation: Activation | null }
  | { readonly kind: 'failed'; readonly failure: Failure }

/** Of one version's directory: two versions may have the same tree. */
export interface AttestResult {
  readonly version: string
  readonly result: 'whole' | 'drifted'
}

/** How a hook, a probe or the steps after a swap ended. */
export type StepOutcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly failure: Failure }

interface EventArgs {
  /** Sessions are numbered upwards within one process. */
  'session-opened': { session: number }
  'session-closed': { session: number }
  'desired-received': { session: number; desired: Desired }
  /** What the disk says now: at every report, so that a drifted link is seen. */
  'disk-observed': { disk: Disk }
  /** `activateAt` has come for this fence. */
  'activation-due': { fence: Fence }
  'stage-progressed': { release: Release; bytes: number; bytesTotal: number }
  'stage-ended': { release: Release; outcome: StageOutcome; disk: Disk }
  'swap-ended': { fence: Fence; outcome: SwapOutcome; disk: Disk }
  'reload-ended': { fence: Fence; outcome: StepOutcome }
  'attest-ended': {
    fence: Fence
    results: readonly AttestResult[]
  }
  'trial-ended': { trial: TrialKind; fence: Fence; release: Release; outcome: StepOutcome }
  'once-ended': { fence: Fence; outcome: StepOutcome }
  /** Nothing is left of a once run whose end nobody saw. */
  'once-gone': { fence: Fence }
  /** The timer of the regular attest. */
  'attest-due': Record<never, never>
  'retry-due': Record<never, never>
}

export type EventType = keyof EventArgs
export type EventOf<T extends EventType> = { [K in T]: { type: K } & EventArgs[K] }[T]
export type ActivationEvent = EventOf<EventType>

export type SwapTarget =
  | { readonly kind: 'release'; readonly release: Release }
  | { readonly kind: 'link'; readonly link: string }

/** `whole`: the window, as configured. `confirm`: until one probe passes, or enough in a row fail. */
export type ProbeMode = 'whole' | 'confirm'

/** Which release, after which, under which decision. */
interface Scene {
  readonly fence: Fence
  readonly release: Release
  readonly previous: Release | null
}

interface EffectArgs {
  /** Stages the release beside the others; ends in `stage-ended`. */
  stage: { release: Release }
  'cancel-stage': Record<never, never>
  /** Replaces the pending timer; ends in `activation-due`, at once where the clock is unsure. */
  schedule: { fence: Fence; activateAt: number }
  unschedule: Record<never, never>
  /** One rename; ends in `swap-ended`. */
  swap: { fence: Fence; target: SwapTarget }
  /** The reload steps; end in `reload-ended`. Without a release where `current` is none of ours. */
  reload: Omit<Scene, 'release'> & { release: Release | null; rollingBack: boolean }
  /** Ends the steps of an older fence; what they come to counts for nothing. */
  'stop-reload': Record<never, never>
  /** These three end in `trial-ended`. */
  preflight: Scene & { runHook: boolean }
  'before-activate': Scene
  probe: Scene & { mode: ProbeMode }
  'stop-trial': Record<never, never>
  /** Ends in `once-ended`; nothing but its own time ends it sooner. */
  'run-once': Scene
  /** Ends in `once-gone`. */
  'await-once': { fence: Fence }
  /** Hook `on-failure`; nothing comes of it. */
  'tell-failure': Scene & { failure: Failure }
  /** Quick attest; ends in `attest-ended`. */
  attest: { fence: Fence; releases: readonly Release[] }
  /** Ends in `retry-due`; `attempt` from 0 chooses the delay. */
  'retry-later': { attempt: number }
  /** Sends the observed state up, while a session is open. */
  report: Record<never, never>
  serve: { serving: boolean }
  /** Removes what nothing needs: never a pinned tree, beyond that by the order of `history`. */
  'clean-up': { pinned: readonly string[]; history: readonly Release[] }
  /** Two decisions under one epoch: for the log. */
  'raise-conflict': { held: Fence; heard: Fence }
}

export type EffectType = keyof EffectArgs
export type EffectOf<T extends EffectType> = { [K in T]: { type: K } & EffectArgs[K] }[T]
export type ActivationEffect = EffectOf<EffectType>

export interface Step {
  readonly state: ActivationState
  readonly effects: readonly ActivationEffect[]
}
