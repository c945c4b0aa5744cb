// What a stage is asked for and what it says at its end: plain data that crosses to the worker.

import type { SharedPath } from '../config.ts'
import type { TlsTrust } from '../link/controller-channel.ts'
import { limits } from '#shared/limits.ts'
import type { Release } from '#shared/release.ts'

export interface StageRequest {
  /** The app's root directory. */
  readonly root: string
  readonly release: Release
  /** Releases to take unchanged files from, the likeliest first. */
  readonly held: readonly Release[]
  readonly sharedPaths: readonly SharedPath[]
  readonly controllerUrl: string
  /** The content token of the agent's session. */
  readonly token: string
  /** Origins that content may be redirected to. */
  readonly redirects: readonly string[]
  readonly tls: TlsTrust
  /** `copy` for apps that change their own files in place: then no two releases share one. */
  readonly reuse: 'auto' | 'copy'
  /** The group of everything in the release, which .lockstep/ passes on; null: no matter. */
  readonly groupId: number | null
  readonly tuning: StageTuning
}

/** Limits that tests make small. */
export interface StageTuning {
  readonly stallMs: number
  readonly firstByteMs: number
  readonly resumesMax: number
  readonly resumeProgressBytes: number
  readonly retryMinMs: number
  readonly retryMaxMs: number
  readonly spaceMarginBytes: number
  readonly inodeMargin: number
}

export const stageTuning: StageTuning = {
  stallMs: limits.stallMs,
  firstByteMs: limits.firstByteMs,
  resumesMax: limits.resumesMax,
  resumeProgressBytes: limits.resumeProgressBytes,
  retryMinMs: limits.retryMinMs,
  retryMaxMs: limits.retryMaxMs,
  spaceMarginBytes: limits.spaceMarginBytes,
  inodeMargin: limits.inodeMargin,
}

export interface StagedRelease extends Release {
  /**
   * `staged`: built now. `held`: it was there, whole by its record. `adopted`: it was there without
   * a valid record (restored from a backup, say), and every file of it was hashed again.
   * `repaired`: it is what runs, and what of it had drifted was replaced file by file.
   */
  readonly outcome: 'staged' | 'held' | 'adopted' | 'repaired'
  readonly fileCount: number
  /** Bytes of files by where they came from. */
  readonly bytes: {
    readonly resumed: number
    readonly linked: number
    readonly copied: number
    readonly written: number
    /** Of packs, as they came over the wire. */
    readonly received: number
  }
  /** What the streams were: full, a delta against a tree; none when nothing was lacking. */
  readonly packs: readonly ('full' | { readonly from: string })[]
  /** How often a stream was taken up again after it broke off or stalled. */
  readonly resumes: number
  /** Entries of the release that a shared path replaces on this host; the first are named. */
  readonly leftOutCount: number
  readonly leftOut: readonly string[]
  /** Shared directories that were filled from this release. */
  readonly seeded: readonly string[]
  /** Files of held releases that are not what they were: those releases have drifted. */
  readonly suspects: readonly { readonly version: string; readonly path: string }[]
  /** Milliseconds of each step. */
  readonly tookMs: Readonly<Record<string, number>>
}
