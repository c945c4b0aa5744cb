// What already stands at `versions/<version>` when a release is to be staged: the release itself,
// with its record or without, or something else. Blocks its thread.

import { chmodSync, lstatSync, lutimesSync } from 'node:fs'
import { join } from 'node:path'
import { syncDirectory } from '../adapters/durable-file.ts'
import { syncFileSystem } from '../adapters/sync-file-system.ts'
import { compareWithPlan } from '../attest/deep-attest.ts'
import type { FileHasher } from '../attest/hash-file.ts'
import { quickAttest } from '../attest/quick-attest.ts'
import { writeRecord } from '../attest/record.ts'
import type { SharedPath } from '../config.ts'
import { type AppLayout, versionPath } from '../layout/app-layout.ts'
import { leadsInto } from '../layout/current-link.ts'
import type { BuildPlan } from './build-plan.ts'
import { recordOf, topModeOf } from './disk-record.ts'
import { mtimeSecondsOf } from '#shared/manifest.ts'
import type { Release } from '#shared/release.ts'

export interface StandingQuestion {
  readonly layout: AppLayout
  readonly release: Release
  readonly sharedPaths: readonly SharedPath[]
  readonly plan: BuildPlan
  readonly hasher: FileHasher
  readonly groupId: number | null
}

/**
 * `held`: the release, whole by its record. `adopted`: the release, proven by hashing it and
 * recorded anew. `none`: nothing, or something that has to make way.
 */
export async function findStanding(
  question: StandingQuestion,
): Promise<'held' | 'adopted' | 'none'> {
  const { layout, release } = question
  const top = versionPath(layout, release.version)
  const stats = lstatSync(top, { throwIfNoEntry: false })
  if (stats?.isDirectory() !== true) return 'none'
  // Only by being built anew does it get another group; what runs keeps the one that it has.
  const hasGroup = question.groupId === null || stats.gid === question.groupId
  if (!hasGroup && !leadsInto(layout, release.version)) return 'none'
  const attest = await quickAttest(layout, release.version)
  if (attest.outcome === 'whole' && attest.tree === release.tree) {
    // The stage that built it may have ended before this.
    syncDirectory(layout.versions)
    return hasSamePaths(attest.sharedPaths, question.sharedPaths) ? 'held' : 'none'
  }
  const { found, extras } = compareWithPlan(top, question.plan, question.hasher)
  if (found.count > 0 || extras.length > 0) return 'none'
  await adopt(top, question)
  return 'adopted'
}

function hasSamePaths(one: readonly SharedPath[], other: readonly SharedPath[]): boolean {
  const textOf = (paths: readonly SharedPath[]): string =>
    JSON.stringify(paths.map(({ path, type }) => `${type} ${path}`).toSorted())
  return textOf(one) === textOf(other)
}

/** The files are right; their times are set, since a copy from a backup may have lost them. */
async function adopt(top: string, question: StandingQuestion): Promise<void> {
  const { layout, release, sharedPaths, plan, groupId } = question
  const topMode = topModeOf(top, groupId)
  chmodSync(top, topMode)
  for (const entry of [...plan.files, ...plan.links, ...plan.directories]) {
    const seconds = mtimeSecondsOf(entry)
    lutimesSync(join(top, entry.path), seconds, seconds)
  }
  await syncFileSystem(top)
  writeRecord(layout, { ...release, sharedPaths }, recordOf(top, plan, topMode, null))
}
