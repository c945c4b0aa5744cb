// What the runner of one app needs of the world: a journal, a disk, the host's own hooks and
// probes, a controller.

import type { Journal } from '#shared/activation/state.ts'
import type { Current } from '#shared/activation/state.ts'
import type {
  AttestResult,
  ProbeMode,
  StageOutcome,
  StepOutcome,
  SwapOutcome,
  SwapTarget,
} from '#shared/activation/events.ts'
import type { Observed } from '#shared/activation/observe.ts'
import type { Clock } from '#shared/clock.ts'
import type { LockstepError } from '#shared/errors.ts'
import type { Fence } from '#shared/fence.ts'
import type { Release } from '#shared/release.ts'
import type { Activation, Declares, Failure } from '#shared/report.ts'

export type { ProbeMode }

export interface JournalStore {
  /**
   * Durable when it resolves: written beside, synced, renamed, directory synced.
   * @throws LockstepError `no-space`, `disk-error`
   */
  save(journal: Journal): Promise<void>
}

export interface StageOptions {
  readonly signal: AbortSignal
  readonly onProgress: (bytes: number, bytesTotal: number) => void
  /** The controller says that the environment runs it: it is not staged by a rollout. */
  readonly isSettled: boolean
}

export interface AppDisk {
  /** Reads the link, every time. */
  observeCurrent(): Promise<Current>
  /** Reads why the host's own operator holds it to what it runs, every time; null: nobody does. */
  observeHold(): Promise<string | null>
  /** The releases staged whole, as this process knows them after start and its own work. */
  held(): readonly Release[]
  /** Never rejects: what went wrong is an outcome. */
  stage(release: Release, options: StageOptions): Promise<StageOutcome>
  /**
   * The environment runs the release, and so does this host.
   * @returns whether that is durable; false is tried again
   */
  commit(release: Release): Promise<boolean>
  /**
   * One rename, synchronous, in this thread: nothing else happens at `activateAt`.
   * @returns the instant at which the rename returned, by `clock`, or what went wrong
   */
  swap(
    target: SwapTarget,
  ): { kind: 'swapped'; at: number } | Extract<SwapOutcome, { kind: 'failed' }>
  attest(releases: readonly Release[]): Promise<readonly AttestResult[]>
  /**
   * Failures are logged and tried again at the next clean-up, never fatal.
   * @param pinned the trees that are needed; asked right before anything is removed
   */
  cleanUp(pinned: () => readonly string[], history: readonly Release[]): Promise<void>
  setServing(serving: boolean): Promise<void>
}

/** For which release, after which, and under which decision a hook or a probe runs. */
export interface HookScene {
  readonly release: Release
  /** What `current` was before; null for nothing of ours. */
  readonly previous: Release | null
  readonly fence: Fence
}

/** The steps after a swap: the release is null where `current` is none of ours any more. */
export interface StepsScene extends Omit<HookScene, 'release'> {
  readonly release: Release | null
  readonly rollingBack: boolean
}

/**
 * The host's own hooks, steps and probes. None rejects: what went wrong is an outcome. One that is
 * aborted resolves soon after, as failed, once nothing that it started is left.
 */
export interface HostSteps {
  /** Whether host and release fit; then hook `after-stage`, when it is to run. */
  preflight: (
    scene: HookScene,
    options: { signal: AbortSignal; runHook: boolean },
  ) => Promise<StepOutcome>
  /** Before the rename, on the way to this release. */
  beforeActivate: (scene: HookScene, options: { signal: AbortSignal }) => Promise<StepOutcome>
  /** After the rename; done again after a crash, so each of them must bear being repeated. */
  steps: (scene: StepsScene, options: { signal: AbortSignal }) => Promise<StepOutcome>
  /** Best effort; whatever comes of it changes no outcome. */
  onFailure: (scene: HookScene, failure: Failure) => void
  /** The health gate. */
  probe: (
    scene: HookScene,
    options: { mode: ProbeMode; signal: AbortSignal },
  ) => Promise<StepOutcome>
  /** Resolves when the run has exited; nothing but its own timeout ends it. */
  runOnce: (scene: HookScene) => Promise<StepOutcome>
  /** After a restart: resolves when nothing of the run under this fence lives any more. */
  onceGone: (fence: Fence) => Promise<void>
}

/** The agent's view of the controller's clock, of the present session. */
export interface ControllerClock {
  /** `at` of this process's clock in the controller's clock, with its error; null when unknown. */
  toController(at: number): { at: number; errorMs: number } | null
  /** The instant of this process's clock; null when unknown. */
  toLocal(controllerAt: number): { at: number; errorMs: number } | null
}

export interface AppPorts extends HostSteps {
  journal: JournalStore
  disk: AppDisk
  /** What the host's own configuration asks of a rollout. */
  declares: Declares
  /** Whether files of the current release that were changed are repaired, or only reported. */
  drift: 'repair' | 'report'
  clock: Clock
  controllerClock: ControllerClock
  /** In [0, 1): for the jitter of retries. */
  random: () => number
  /** Sends the observed state up; a loss is healed by the next report. */
  report: (observed: Observed) => void
  onConflict: (held: Fence, heard: Fence) => void
  /** The journal could not be saved. Nothing is done until it can be; it is tried again. */
  onUnsaved: (error: LockstepError) => void
  onSwapped: (swap: SwapNote) => void
}

/** A swap for the log; the instant is in the controller's clock, null while that is not known. */
export interface SwapNote {
  readonly mode: Activation['mode']
  readonly activatedAt: number | null
  readonly errorMs: number | null
  /** The link that was replaced, ours or not; null where there was none. */
  readonly was: string | null
}
