// Repair of the version that runs, after something changed its files: each is replaced by a whole
// one that was built beside it, by one rename, never written in place, since other releases may
// share it and the app may have it open. What the app wrote beside its files stays.

import { chmodSync, lstatSync, lutimesSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { syncFileSystem } from '../adapters/sync-file-system.ts'
import { differenceOf } from '../attest/deep-attest.ts'
import { FileHasher } from '../attest/hash-file.ts'
import { readRecordHead, type RecordHead, writeRecord } from '../attest/record.ts'
import { type AppLayout, versionPath } from '../layout/app-layout.ts'
import { leadsInto } from '../layout/current-link.ts'
import { moveToTrash } from '../layout/trash.ts'
import type { BuildPlan } from './build-plan.ts'
import { recordOf, topModeOf } from './disk-record.ts'
import { LockstepError } from '#shared/errors.ts'
import { type ManifestEntry, mtimeSecondsOf } from '#shared/manifest.ts'
import type { Release } from '#shared/release.ts'

/**
 * The record of this very release where `current` runs on it; null where the version is free.
 * @throws LockstepError `tree-drifted` when `current` runs on the version and that is another tree
 */
export function runningRecord(layout: AppLayout, release: Release): RecordHead | null {
  if (!leadsInto(layout, release.version)) return null
  const head = readRecordHead(layout, release.version)
  if (head?.tree === release.tree) return head
  const path = versionPath(layout, release.version)
  throw new LockstepError(
    'tree-drifted',
    `${path} is what current runs, and it is not the release ${release.tree}`,
    {
      hint: 'Deploy another version, or publish this one under a new label.',
      details: { path, tree: release.tree, found: head?.tree ?? null },
    },
  )
}

/**
 * Puts every entry right that is not, from a whole and durable stage of the same tree. Repeatable:
 * until the record is written anew the version counts as drifted.
 * @throws LockstepError `tree-drifted` where a directory stands in the place of a file or link,
 *   since nobody knows what is in it; `disk-error`, `stage-failed`, and the system's errors
 */
export async function repairVersion(
  layout: AppLayout,
  head: RecordHead,
  { plan, stage, groupId }: { plan: BuildPlan; stage: string; groupId: number | null },
): Promise<void> {
  const top = versionPath(layout, head.version)
  const hasher = new FileHasher()
  const entries = [...plan.directories, ...plan.files, ...plan.links]
  for (const entry of entries) repairEntry(layout, join(top, entry.path), entry, stage, hasher)
  for (const entry of entries.toReversed()) {
    if (entry.type === 'directory') chmodSync(join(top, entry.path), entry.mode)
    const seconds = mtimeSecondsOf(entry)
    lutimesSync(join(top, entry.path), seconds, seconds)
  }
  const topMode = topModeOf(top, groupId)
  chmodSync(top, topMode)
  await syncFileSystem(top)
  const { version, tree, sharedPaths } = head
  writeRecord(layout, { version, tree, sharedPaths }, recordOf(top, plan, topMode, null))
}

function repairEntry(
  layout: AppLayout,
  path: string,
  entry: ManifestEntry,
  stage: string,
  hasher: FileHasher,
): void {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  const kind = stats === undefined ? 'missing' : differenceOf(path, entry, stats, hasher)
  // A directory's mode is set at the end, when nothing has to be put into it any more.
  if (kind === null || (kind === 'mode' && entry.type === 'directory')) return
  if (stats?.isDirectory() === true) throw directoryInTheWay(path, entry)
  const source = join(stage, entry.path)
  for (const directory of [dirname(path), dirname(source)]) openForOwner(directory)
  if (entry.type === 'directory') {
    // Moved in with all below it; renaming it asks for the right to write to itself.
    openForOwner(source)
    if (stats !== undefined) moveToTrash(layout, path)
  }
  renameSync(source, path)
}

function openForOwner(directory: string): void {
  const { mode } = lstatSync(directory)
  if ((mode & 0o700) !== 0o700) chmodSync(directory, (mode & 0o7777) | 0o700)
}

function directoryInTheWay(path: string, entry: ManifestEntry): LockstepError {
  return new LockstepError('tree-drifted', `${path} is a directory and should be a ${entry.type}`, {
    hint: 'Move it away, after a look at what is in it; the agent then repairs the release.',
    details: { path },
  })
}
