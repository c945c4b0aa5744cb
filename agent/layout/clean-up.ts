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
import { findUsage } from './in-use.ts'
import { planRetention, type RetentionPlan } from './retention.ts'
import { emptyTrash, type Leftover, moveToTrash } from './trash.ts'

export interface PruneResult {
  readonly removed: readonly Release[]
  readonly kept: RetentionPlan['kept']
  /** What could not be removed, and why. */
  readonly leftovers: readonly Leftover[]
  /** Processes that could not be asked whether they use a release. */
  readonly unseenProcesses: number
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
}

/**
 * Removes releases beyond the newest `keep` activations, and unfinished stages that nothing will
 * take up; never a pinned tree, the current version or one that a live process uses.
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
): Promise<readonly Leftover[]> {
  try {
    return await clear(layout, keepTrees)
  } catch (error) {
    throw asDiskError(error, `Cleaning up ${layout.root}`)
  }
}

async function prune(layout: AppLayout, facts: PruneFacts): Promise<PruneResult> {
  const paths = new Map(
    facts.held.map(({ version }) => [realVersionPath(layout, version), version]),
  )
  const usage = await findUsage([...paths.keys()])
  const inUse = new Set([...usage.users.keys()].map((path) => paths.get(path) ?? ''))
  const plan = planRetention({ ...facts, pinned: facts.pinned(), inUse })
  const removed: Release[] = []
  const leftovers: Leftover[] = []
  // What current led to before must not be gone while a power loss could bring that link back.
  syncDirectory(layout.root)
  for (const release of plan.removed) {
    const failure = noted(versionPath(layout, release.version), () => {
      if (removeVersion(layout, release.version)) removed.push(release)
    })
    leftovers.push(...failure)
  }
  // A stage that has begun meanwhile has its manifest here, and no record yet.
  leftovers.push(...removeStages(layout, facts.pinned()))
  removeUnusedManifests(layout, facts.pinned())
  leftovers.push(...(await emptyTrash(layout)))
  return { removed, kept: plan.kept, leftovers, unseenProcesses: usage.unseenCount }
}

async function clear(
  layout: AppLayout,
  keepTrees: readonly string[],
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
  leftovers.push(...(await emptyTrash(layout)))
  return leftovers
}

/** The directory goes first: a record without one counts for nothing and is cleared by itself. */
function removeVersion(layout: AppLayout, version: string): boolean {
  if (leadsInto(layout, version)) return false
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
