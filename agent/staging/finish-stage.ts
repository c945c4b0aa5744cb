// The end of a stage: links, modes and times, then durable, recorded, and renamed into `versions/`.
// The order is what makes it safe: whenever a crash or a power loss comes, `versions/<version>` is
// there whole and with its record, or does not count. ARCHITECTURE.md, "Staging".

import { chmodSync, lstatSync, lutimesSync, renameSync, symlinkSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { syncDirectory } from '../adapters/durable-file.ts'
import { syncFileSystem } from '../adapters/sync-file-system.ts'
import { type RecordedEntry, writeRecord } from '../attest/record.ts'
import { typeOf } from '../attest/quick-attest.ts'
import type { SharedPath } from '../config.ts'
import { type AppLayout, versionPath } from '../layout/app-layout.ts'
import { observeCurrent } from '../layout/current-link.ts'
import { moveToTrash } from '../layout/trash.ts'
import type { BuildPlan } from './build-plan.ts'
import { putSeed } from './shared-paths.ts'
import { LockstepError } from '#shared/errors.ts'
import { type ManifestEntry, mtimeSecondsOf } from '#shared/manifest.ts'
import type { Release } from '#shared/release.ts'

/** Mode of a version's own directory, which is in no manifest. */
const topMode = 0o755
const topSeconds = mtimeSecondsOf({ type: 'directory', path: '', mode: topMode })

export interface Finishing {
  readonly layout: AppLayout
  readonly release: Release
  readonly sharedPaths: readonly SharedPath[]
  readonly plan: BuildPlan
  /** Shared directories that are to be seeded. */
  readonly missing: ReadonlySet<string>
  /** Where the tree was built, and where the seeds were. */
  readonly stage: string
  readonly seeds: string
}

/** Links last, so that no write ever passed through one; then what writing would have changed. */
export function dress(top: string, places: Pick<BuildPlan, 'directories' | 'links'>): void {
  for (const link of places.links) {
    const path = join(top, link.path)
    symlinkSync(link.target, path)
    lutimesSync(path, mtimeSecondsOf(link), mtimeSecondsOf(link))
  }
  // Children first: a directory without write permission takes no more of them.
  for (const directory of places.directories.toReversed()) {
    const path = join(top, directory.path)
    utimesSync(path, mtimeSecondsOf(directory), mtimeSecondsOf(directory))
    chmodSync(path, directory.mode)
  }
  utimesSync(top, topSeconds, topSeconds)
}

/**
 * Makes a whole stage the version.
 * @returns the shared directories that were seeded
 * @throws LockstepError `disk-error`, `no-space`, `tree-drifted` when `current` runs on the version
 */
export async function finishStage(finishing: Finishing): Promise<readonly string[]> {
  const { layout, release, plan, stage } = finishing
  chmodSync(stage, topMode)
  const entries = recordOf(stage, plan)
  await syncFileSystem(stage)
  // Only what is durable may become what no later stage will write again.
  const seeded = [...finishing.missing].filter((path) =>
    putSeed(layout, path, join(finishing.seeds, path)),
  )
  clearVersion(layout, release)
  writeRecord(layout, { ...release, sharedPaths: finishing.sharedPaths }, entries)
  renameSync(stage, versionPath(layout, release.version))
  syncDirectory(layout.versions)
  syncDirectory(layout.lockstep)
  return seeded
}

/**
 * Moves away what stands at `versions/<version>` and is something else.
 * @throws LockstepError `tree-drifted` when `current` resolves to it
 */
export function clearVersion(layout: AppLayout, release: Release): void {
  const path = versionPath(layout, release.version)
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return
  const current = observeCurrent(layout)
  if (current.kind === 'release' && current.version === release.version) {
    throw new LockstepError(
      'tree-drifted',
      `${path} is what current runs, and it is not the release ${release.tree}`,
      {
        hint: 'Deploy another version, or publish this one under a new label.',
        details: { path, tree: release.tree },
      },
    )
  }
  moveToTrash(layout, path)
  syncDirectory(layout.versions)
}

/** What stands on the disk now, and a last look that all of it does. */
export function recordOf(top: string, plan: BuildPlan): RecordedEntry[] {
  const root: ManifestEntry = { type: 'directory', path: '', mode: topMode }
  const entries: ManifestEntry[] = [root, ...plan.directories, ...plan.files, ...plan.links]
  return entries.map((entry) => recordedEntry(top, entry))
}

function recordedEntry(top: string, entry: ManifestEntry): RecordedEntry {
  const stats = lstatSync(join(top, entry.path))
  const base = {
    path: entry.path,
    mode: stats.mode & 0o7777,
    mtimeMs: stats.mtimeMs,
    inode: stats.ino,
  }
  const isRight =
    typeOf(stats) === entry.type &&
    (entry.type === 'link' || base.mode === entry.mode) &&
    (entry.type !== 'file' || stats.size === entry.sizeBytes)
  if (!isRight) {
    throw new LockstepError('stage-failed', `${entry.path} changed while the release was staged`, {
      hint: 'Nothing but the agent may write below .lockstep/.',
      details: { path: join(top, entry.path) },
    })
  }
  if (entry.type === 'directory') return { type: 'directory', ...base }
  if (entry.type === 'link') return { type: 'link', ...base, target: entry.target }
  return { type: 'file', ...base, sizeBytes: entry.sizeBytes, sha256: entry.sha256 }
}
