// What the runner of one app needs of the world: a journal, a disk, reload steps, a controller.

import type { Journal } from '#shared/activation/state.ts'
import type { Current } from '#shared/activation/state.ts'
import type {
  AttestResult,
  ReloadOutcome,
  StageOutcome,
  SwapOutcome,
  SwapTarget,
} from '#shared/activation/events.ts'
import type { Observed } from '#shared/activation/observe.ts'
import type { Clock } from '#shared/clock.ts'
import type { LockstepError } from '#shared/errors.ts'
import type { Fence } from '#shared/fence.ts'
import type { Release } from '#shared/release.ts'
import type { Activation } from '#shared/report.ts'

export interface JournalStore {
  /**
   * Durable when it resolves: written beside, synced, renamed, directory synced.
   * @throws LockstepError `no-space`, `disk-error`
   */
  save(journal: Journal): Promise<void>
}

export interface AppDisk {
  /** Reads the link, every time. */
  observeCurrent(): Promise<Current>
  /** The releases staged whole, as this process knows them after start and its own work. */
  held(): readonly Release[]
  /** Never rejects: what went wrong is an outcome. */
  stage(
    release: Release,
    options: { signal: AbortSignal; onProgress: (bytes: number, bytesTotal: number) => void },
  ): Promise<StageOutcome>
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

/** The agent's view of the controller's clock, of the present session. */
export interface ControllerClock {
  /** `at` of this process's clock in the controller's clock, with its error; null when unknown. */
  toController(at: number): { at: number; errorMs: number } | null
  /** The instant of this process's clock; null when unknown. */
  toLocal(controllerAt: number): { at: number; errorMs: number } | null
}

export interface AppPorts {
  journal: JournalStore
  disk: AppDisk
  /** Never rejects. */
  reload: () => Promise<ReloadOutcome>
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
}
