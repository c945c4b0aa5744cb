// The state of one app on one host, as the agent's machine holds it.
//
//   idle ──▶ fetching ──▶ staged ──▶ ready ──▶ activating ──▶ active ──▶ healthy
//                │                                │                │
//                └──────────── failed(code) ◀─────┴────────────────┘
//
// The phase is never stored: it is derived (observe.ts) from what was told, what the disk says and
// what is under way, so that it cannot disagree with them.

import type { Desired } from '../desired.ts'
import type { Fence } from '../fence.ts'
import { type Release, sameRelease } from '../release.ts'
import type { Activation, Failure } from '../report.ts'

/** What `current` is, as read from the disk. */
export type Current =
  | { readonly kind: 'none' }
  /** A link into `versions/`; whether that release is whole is `held`'s to say. */
  | { readonly kind: 'release'; readonly version: string; readonly link: string }
  /** Any other link: of another tool, or dangling. */
  | { readonly kind: 'foreign'; readonly link: string }
  /** A real directory or file: never overwritten. */
  | { readonly kind: 'directory' }
  /** The disk refused to say: nothing is known, so nothing is done and nothing promised. */
  | { readonly kind: 'unreadable'; readonly reason: string }

export interface Disk {
  readonly current: Current
  /** Releases staged whole: built, recorded and durable in `versions/`. */
  readonly held: readonly Release[]
}

/** What `current` pointed to before the first uncommitted activation; null: there was no link. */
export interface Before {
  readonly link: string | null
}

/** Saved whole and synced before any effect runs. */
export interface Journal {
  readonly fence: Fence | null
  readonly told: Desired | null
  readonly before: Before | null
  /** Set with the decision to swap, cleared after the reload steps. */
  readonly reloadDue: boolean
  readonly activation: (Activation & { readonly fence: Fence }) | null
}

export type Acting =
  | { readonly kind: 'activate'; readonly fence: Fence }
  | { readonly kind: 'reload'; readonly fence: Fence }
  | { readonly kind: 'attest'; readonly fence: Fence; readonly releases: readonly Release[] }

export interface Attested {
  readonly fence: Fence
  readonly result: 'whole' | 'drifted'
  /** The regular attest is due; until it ends the last result stands. */
  readonly due: boolean
}

export interface StageUnderWay {
  readonly release: Release
  readonly cancelling: boolean
  readonly progress: { readonly bytes: number; readonly bytesTotal: number } | null
}

/** What a failure holds up: swap and reload steps, or a stage beside them; never each other. */
export type Work = 'act' | 'stage'

export interface Failed {
  readonly failure: Failure
  /** `retrying` by itself; `final` under this fence. */
  readonly outlook: 'retrying' | 'final'
}

export interface ActivationState {
  readonly journal: Journal
  readonly session: number | null
  readonly disk: Disk
  /** By version, since it is about one directory: the last attest of this process. */
  readonly attested: Readonly<Record<string, Attested>>
  readonly staging: StageUnderWay | null
  readonly acting: Acting | null
  /** The fence whose `activateAt` has come. */
  readonly due: Fence | null
  /** The fence and instant that the timer is set for. */
  readonly scheduled: { readonly fence: Fence; readonly activateAt: number } | null
  readonly failed: Readonly<Record<Work, Failed | null>>
  /** Failed attempts under this fence. */
  readonly attempts: Readonly<Record<Work, number>>
  readonly conflict: Fence | null
  readonly serving: boolean
  readonly cleanedFor: Fence | null
}

/** As a new fence begins with. */
export const noFailures: Pick<ActivationState, 'failed' | 'attempts'> = {
  failed: { act: null, stage: null },
  attempts: { act: 0, stage: 0 },
}

export const emptyJournal: Journal = {
  fence: null,
  told: null,
  before: null,
  reloadDue: false,
  activation: null,
}

/**
 * The state of an agent that has just started. A persisted decision is due at once: its instant
 * was measured by a clock that is gone, and it is only a "not before". What was served goes on
 * being served until an attest says otherwise, so that a restart takes no host out.
 */
export function startedState(journal: Journal, disk: Disk, serving: boolean): ActivationState {
  return {
    journal,
    session: null,
    disk,
    attested: {},
    staging: null,
    acting: null,
    due: journal.fence,
    scheduled: null,
    ...noFailures,
    conflict: null,
    serving,
    cleanedFor: null,
  }
}

/** The held release that `current` resolves to, or null. */
export function currentRelease(disk: Disk): Release | null {
  const { current } = disk
  if (current.kind !== 'release') return null
  return disk.held.find((release) => release.version === current.version) ?? null
}

export function isHeld(disk: Disk, release: Release): boolean {
  return disk.held.some((held) => sameRelease(held, release))
}

/** What the link says, whatever it is; null where there is none. */
export function linkOf(current: Current): string | null {
  return current.kind === 'release' || current.kind === 'foreign' ? current.link : null
}
