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
import type { Activation, Declares, Failure, OnceRun } from '../report.ts'

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
  /** Why the host's own operator holds it to what it runs; null: nobody does. */
  readonly hold: string | null
}

/** What `current` pointed to at some time; null: there was no link. */
export interface SeenLink {
  readonly link: string | null
}

/** Saved whole and synced before any effect runs. */
export interface Journal {
  readonly fence: Fence | null
  readonly told: Desired | null
  /** The link of before the first uncommitted activation. */
  readonly before: SeenLink | null
  /** Set with the decision to swap, cleared after the reload steps. */
  readonly reloadDue: boolean
  /** Those steps are a roll back's, though a newer decision may have come before they were done. */
  readonly rollingBack: boolean
  /** The link when the steps fell due last: while it is still there, nothing has been swapped. */
  readonly previous: SeenLink | null
  readonly activation: (Activation & { readonly fence: Fence }) | null
  /** The held trees whose hook `after-stage` has run to its good end. */
  readonly afterStageDone: readonly string[]
  /** The last once run that this host was elected for: written before it is started. */
  readonly once: OnceRun | null
}

export type Acting =
  | { readonly kind: 'activate'; readonly fence: Fence }
  | { readonly kind: 'reload'; readonly fence: Fence; readonly stopping: boolean }
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

/**
 * What of the host's own has a say in a release. They take their time, so they are beside what acts
 * on `current`, one at a time.
 */
export type TrialKind = 'preflight' | 'before-activate' | 'gate'

export interface Trial {
  readonly kind: TrialKind
  readonly fence: Fence
  readonly release: Release
  /** It was told to end; what it comes to is nobody's word any more. */
  readonly stopping: boolean
}

export interface Gate {
  /** It has passed the whole window since its last swap and steps, in this process. */
  readonly proven: Release | null
  /** The fence under which the gate was passed last. */
  readonly passed: Fence | null
  /** It is to be confirmed once more; until that ends the last result stands. */
  readonly due: boolean
}

/** What a failure holds up: each its own kind of work, never another. */
export type Work = 'act' | 'stage' | 'preflight' | 'gate'

/** What the host's own configuration says, as far as the machine has to know. */
export interface HostConfig {
  readonly declares: Declares
  readonly drift: 'repair' | 'report'
}

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
  readonly trial: Trial | null
  /** By tree: the fence under which its preflight was passed last. */
  readonly fit: Readonly<Record<string, Fence>>
  /** What `before-activate` has been run for, since the last swap. */
  readonly cleared: { readonly fence: Fence; readonly release: Release } | null
  readonly gate: Gate
  /**
   * The once run that the journal holds: it runs `here`; an earlier process began it (`elsewhere`)
   * and its end is waited for; it ended and may not have been said yet (`unsaid`).
   */
  readonly onceRun: 'here' | 'elsewhere' | 'unsaid' | null
  /** The fence whose `activateAt` has come. */
  readonly due: Fence | null
  /** The fence and instant that the timer is set for. */
  readonly scheduled: { readonly fence: Fence; readonly activateAt: number } | null
  readonly failed: Readonly<Record<Work, Failed | null>>
  /** Failed attempts under this fence. */
  readonly attempts: Readonly<Record<Work, number>>
  /** The fence under which hook `on-failure` was run. */
  readonly failureTold: Fence | null
  readonly conflict: Fence | null
  readonly serving: boolean
  readonly cleanedFor: Fence | null
  readonly config: HostConfig
}

/** As a new fence begins with. */
export const noFailures: Pick<ActivationState, 'failed' | 'attempts'> = {
  failed: { act: null, stage: null, preflight: null, gate: null },
  attempts: { act: 0, stage: 0, preflight: 0, gate: 0 },
}

/** Nothing is proven of what has just been swapped to. */
export const unproven: Gate = { proven: null, passed: null, due: false }

export const emptyJournal: Journal = {
  fence: null,
  told: null,
  before: null,
  reloadDue: false,
  rollingBack: false,
  previous: null,
  activation: null,
  afterStageDone: [],
  once: null,
}

/**
 * The state of an agent that has just started. A persisted decision is due at once: its instant
 * was measured by a clock that is gone, and it is only a "not before". What was served goes on
 * being served until an attest says otherwise, so that a restart takes no host out.
 */
export function startedState(
  journal: Journal,
  disk: Disk,
  serving: boolean,
  config: HostConfig,
): ActivationState {
  return {
    journal,
    session: null,
    disk,
    attested: {},
    staging: null,
    acting: null,
    trial: null,
    fit: {},
    cleared: null,
    gate: unproven,
    onceRun: journal.once === null || journal.once.state === 'running' ? null : 'unsaid',
    due: journal.fence,
    scheduled: null,
    ...noFailures,
    failureTold: null,
    conflict: null,
    serving,
    cleanedFor: null,
    config,
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

/** The held release that a link of `current` leads to, or null. */
export function releaseAt(disk: Disk, link: string | null): Release | null {
  return disk.held.find(({ version }) => link === `versions/${version}`) ?? null
}

/** What stands at `current` can neither be replaced nor gone back to. */
export function isObstructed({ disk }: ActivationState): boolean {
  return disk.current.kind === 'directory' || disk.current.kind === 'unreadable'
}

/** What the link says, whatever it is; null where there is none. */
export function linkOf(current: Current): string | null {
  return current.kind === 'release' || current.kind === 'foreign' ? current.link : null
}
