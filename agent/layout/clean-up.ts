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
import { temporaryPrefix } from '../adapters/durable-file.ts'
import {
  type AppLayout,
  manifestPath,
  recordPath,
  seedPrefix,
  stagePrefix,
  versionPath,
} from './app-layout.ts'
import { observeCurrent, removeStaleLinks } from './current-link.ts'
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

/**
 * Removes releases beyond the newest `keep` activations; never a pinned tree, the current version
 * or one that a live process uses.
 */
export async function pruneReleases(
  layout: AppLayout,
  facts: {
    readonly held: readonly Release[]
    readonly keep: number
    readonly history: readonly Release[]
    /** Asked when everything else is known: what is told meanwhile may need another release. */
    readonly pinned: () => readonly string[]
  },
): Promise<PruneResult> {
  const paths = new Map(
    facts.held.map(({ version }) => [realVersionPath(layout, version), version]),
  )
  const usage = await findUsage([...paths.keys()])
  const inUse = new Set([...usage.users.keys()].map((path) => paths.get(path) ?? ''))
  const plan = planRetention({ ...facts, pinned: facts.pinned(), inUse })
  const removed: Release[] = []
  const leftovers: Leftover[] = []
  for (const release of plan.removed) {
    const failure = noted(versionPath(layout, release.version), () => {
      if (removeVersion(layout, release.version)) removed.push(release)
    })
    leftovers.push(...failure)
  }
  // A stage that has begun meanwhile has its manifest here, and no record yet.
  removeUnusedManifests(layout, facts.pinned())
  leftovers.push(...(await emptyTrash(layout)))
  return { removed, kept: plan.kept, leftovers, unseenProcesses: usage.unseenCount }
}

/**
 * Removes what a crash or an abandoned stage left. At the start, and after a stage was cancelled
 * for good; never while one is under way.
 * @param keepTrees trees whose unfinished stage is going to be taken up again
 */
export async function clearLeftovers(
  layout: AppLayout,
  keepTrees: readonly string[],
): Promise<readonly Leftover[]> {
  removeStaleLinks(layout)
  const leftovers: Leftover[] = []
  for (const name of readdirSync(layout.lockstep)) {
    const path = join(layout.lockstep, name)
    const prefix = [stagePrefix, seedPrefix].find((start) => name.startsWith(start))
    const isKept = prefix !== undefined && keepTrees.includes(name.slice(prefix.length))
    if (prefix !== undefined && !isKept) {
      leftovers.push(...noted(path, () => void moveToTrash(layout, path)))
    }
  }
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
  const current = observeCurrent(layout)
  if (current.kind === 'release' && current.version === version) return false
  moveToTrash(layout, versionPath(layout, version))
  unlinkSync(recordPath(layout, version))
  return true
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
