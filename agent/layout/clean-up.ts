// Clean-up of one app's disk: releases that nothing needs, and what crashes left behind. What to
// keep is for retention.ts to say, and what runs is looked at again just before each removal. A
// removal that fails is told and fails nothing.

import { existsSync, lstatSync, readdirSync, realpathSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { patterns } from '#shared/ids.ts'
import type { Release } from '#shared/release.ts'
import { readRecordHead } from '../attest/record.ts'
import { recordedVersions } from '../attest/held-releases.ts'
import { asDiskError } from '../adapters/disk-error.ts'
import { syncDirectory, temporaryPrefix } from '../adapters/durable-file.ts'
import {
  type AppLayout,
  manifestPath,
  recordPath,
  seedPrefix,
  stagePrefix,
  versionPath,
} from './app-layout.ts'
import { leadsInto, removeStaleLinks } from './current-link.ts'
import type { DrainMarks } from './drain-marks.ts'
import { linkedBefore } from './linked-file.ts'
import { type KeepReason, planRetention, type RetentionPlan } from './retention.ts'
import { emptyTrash, type Leftover, moveToTrash } from './trash.ts'
import type { AskWhoUses, UsageVerdict } from './who-uses.ts'

export interface PruneResult {
  readonly removed: readonly Release[]
  readonly kept: RetentionPlan['kept']
  /** What could not be removed, and why. */
  readonly leftovers: readonly Leftover[]
  /** What would have gone, and why it did not yet. */
  readonly heldBack: readonly HeldBack[]
  /** Why nobody could tell who uses what; null when somebody could, or nothing was to go. */
  readonly usageUnknown: string | null
}

export interface HeldBack {
  readonly version: string
  /** To be read in brackets: `in use by process 12, cwd`. */
  readonly why: string
  /** When that ends by itself, epoch milliseconds; null for what nobody knows. */
  readonly until: number | null
}

export interface DrainFacts {
  readonly marks: DrainMarks
  /** How long a release stays after `current` left it. */
  readonly drainMs: number
  /** Epoch milliseconds of the host's clock. */
  readonly now: () => number
}

export interface PruneFacts {
  readonly held: readonly Release[]
  readonly keep: number
  readonly history: readonly Release[]
  /**
   * Trees that must stay, the one being staged among them. Asked when everything else is known:
   * what is told meanwhile may need another release.
   */
  readonly pinned: () => readonly string[]
  readonly whoUses: AskWhoUses
  readonly drain: DrainFacts
}

/**
 * Removes releases beyond the newest `keep` activations, and unfinished stages that nothing will
 * take up; never a pinned tree, the current version, one that `current` left a short time ago or one
 * that a live process uses or may use.
 * @throws LockstepError `disk-error` when the app's directories cannot be listed
 */
export async function pruneReleases(layout: AppLayout, facts: PruneFacts): Promise<PruneResult> {
  try {
    return await prune(layout, facts)
  } catch (error) {
    throw asDiskError(error, `Cleaning up ${layout.root}`)
  }
}

/**
 * Removes what a crash left. At the start only, when no stage is under way.
 * @param keepTrees trees whose unfinished stage is going to be taken up again
 * @throws LockstepError `disk-error` when the app's directories cannot be listed
 */
export async function clearLeftovers(
  layout: AppLayout,
  keepTrees: readonly string[],
  whoUses: AskWhoUses,
): Promise<readonly Leftover[]> {
  try {
    return await clear(layout, keepTrees, whoUses)
  } catch (error) {
    throw asDiskError(error, `Cleaning up ${layout.root}`)
  }
}

async function prune(layout: AppLayout, facts: PruneFacts): Promise<PruneResult> {
  const leftovers: Leftover[] = []
  const draining = drainingOf(layout, facts, leftovers)
  const plan = (inUse: ReadonlySet<string>): RetentionPlan =>
    planRetention({ ...facts, pinned: facts.pinned(), draining, inUse })
  const candidates = plan(new Set()).removed.map(({ version }) => version)
  const usage = await usageOf(layout, candidates, facts.whoUses)
  const inUse = facts.held.filter(({ version }) => usage.get(version) !== null)
  const { kept, removed: free } = plan(new Set(inUse.map(({ version }) => version)))
  const removed: Release[] = []
  // What current led to before must not be gone while a power loss could bring that link back.
  syncDirectory(layout.root)
  for (const release of free) {
    const failure = noted(versionPath(layout, release.version), () => {
      if (removeVersion(layout, release.version)) removed.push(release)
    })
    leftovers.push(...failure)
  }
  // A stage that has begun meanwhile has its manifest here, and no record yet.
  leftovers.push(...removeStages(layout, facts.pinned()))
  removeUnusedManifests(layout, facts.pinned())
  leftovers.push(...(await emptyTrash(layout, facts.whoUses)))
  const heldBack = kept.flatMap((one) => heldBackOf(one, facts.drain, usage))
  return { removed, kept, leftovers, heldBack, usageUnknown: unknownAmong(usage) }
}

/** The versions that have not drained yet. A full disk must not keep clean-up from freeing it. */
function drainingOf(layout: AppLayout, facts: PruneFacts, leftovers: Leftover[]): Set<string> {
  const { marks, drainMs, now } = facts.drain
  const versions = facts.held.map(({ version }) => version)
  leftovers.push(
    ...noted(layout.drain, () => {
      marks.note(versions, (version) => leadsInto(layout, version), now())
    }),
  )
  // What no mark tells of was current a moment ago.
  const isDraining = (version: string): boolean =>
    drainMs > 0 && (marks.drainedAt(version, drainMs) ?? Number.POSITIVE_INFINITY) > now()
  return new Set(versions.filter(isDraining))
}

/** For each version why it counts as in use, or null when nobody uses it. */
type VersionUsage = ReadonlyMap<string, VersionUse | null>

interface VersionUse {
  readonly how: string
  readonly isUnknown: boolean
}

/** Asked of those alone that would go; what was not asked about is in none of the answers. */
async function usageOf(
  layout: AppLayout,
  versions: readonly string[],
  whoUses: AskWhoUses,
): Promise<VersionUsage> {
  if (versions.length === 0) return new Map()
  const paths = versions.map((version) => [version, realVersionPath(layout, version)] as const)
  const verdict: UsageVerdict = await whoUses(paths.map(([, path]) => path))
  return new Map(paths.map(([version, path]) => [version, useOf(path, verdict)]))
}

function useOf(path: string, verdict: UsageVerdict): VersionUse | null {
  if (verdict.kind === 'unknown') return { how: verdict.reason, isUnknown: true }
  const user = verdict.users.get(path)
  return user === undefined ? null : { how: `process ${user.pid}, ${user.how}`, isUnknown: false }
}

function unknownAmong(usage: VersionUsage): string | null {
  return [...usage.values()].find((use) => use?.isUnknown === true)?.how ?? null
}

function heldBackOf(
  { release: { version }, reason }: { release: Release; reason: KeepReason },
  { marks, drainMs }: DrainFacts,
  usage: VersionUsage,
): HeldBack[] {
  if (reason === 'draining') {
    const until = marks.drainedAt(version, drainMs)
    const since = until === null ? '' : ` until ${new Date(until).toISOString()}`
    return [{ version, why: `drains${since}`, until }]
  }
  if (reason !== 'in-use') return []
  const use = usage.get(version)
  const why = use?.isUnknown === true ? 'perhaps in use' : `in use by ${use?.how ?? 'somebody'}`
  return [{ version, why, until: null }]
}

async function clear(
  layout: AppLayout,
  keepTrees: readonly string[],
  whoUses: AskWhoUses,
): Promise<readonly Leftover[]> {
  removeStaleLinks(layout)
  const leftovers = removeStages(layout, keepTrees)
  for (const directory of [layout.lockstep, layout.records, layout.manifests]) {
    leftovers.push(...removeTemporaries(directory))
  }
  for (const version of recordedVersions(layout)) {
    if (existsSync(versionPath(layout, version))) continue
    leftovers.push(...noted(version, () => unlinkSync(recordPath(layout, version))))
  }
  removeUnusedManifests(layout, keepTrees)
  leftovers.push(...(await emptyTrash(layout, whoUses)))
  return leftovers
}

/** The directory goes first: a record without one counts for nothing and is cleared by itself. */
function removeVersion(layout: AppLayout, version: string): boolean {
  if (leadsInto(layout, version) || linkedBefore(layout) === version) return false
  moveToTrash(layout, versionPath(layout, version))
  unlinkSync(recordPath(layout, version))
  return true
}

function removeStages(layout: AppLayout, keepTrees: readonly string[]): Leftover[] {
  return readdirSync(layout.lockstep).flatMap((name) => {
    const prefix = [stagePrefix, seedPrefix].find((start) => name.startsWith(start))
    if (prefix === undefined || keepTrees.includes(name.slice(prefix.length))) return []
    const path = join(layout.lockstep, name)
    return noted(path, () => void moveToTrash(layout, path))
  })
}

function removeTemporaries(directory: string): Leftover[] {
  return readdirSync(directory)
    .filter((name) => name.startsWith(temporaryPrefix))
    .flatMap((name) => noted(join(directory, name), () => unlinkSync(join(directory, name))))
}

function removeUnusedManifests(layout: AppLayout, keepTrees: readonly string[]): void {
  const used = new Set(keepTrees)
  for (const version of recordedVersions(layout)) {
    const tree = readRecordHead(layout, version)?.tree
    if (tree !== undefined) used.add(tree)
  }
  for (const name of readdirSync(layout.manifests)) {
    const isUnused = digestPattern.test(name) && !used.has(name)
    if (isUnused) noted(name, () => unlinkSync(manifestPath(layout, name)))
  }
}

const digestPattern = new RegExp(patterns.digest)

function realVersionPath(layout: AppLayout, version: string): string {
  const path = versionPath(layout, version)
  return lstatSync(path, { throwIfNoEntry: false }) === undefined ? path : realpathSync(path)
}

function noted(path: string, action: () => void): Leftover[] {
  try {
    action()
    return []
  } catch (error) {
    const cause = error instanceof LockstepError ? error.cause : error
    const code = systemCodeOf(cause)
    if (code === undefined) throw error
    return [{ path, reason: code }]
  }
}
