// The end of a stage: links, modes and times, then durable, recorded, and renamed into `versions/`.
// The order is what makes it safe: whenever a crash or a power loss comes, `versions/<version>` is
// there whole and with its record, or does not count. ARCHITECTURE.md, "Staging".

import { chmodSync, lstatSync, lutimesSync, renameSync, symlinkSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { syncDirectory } from '../adapters/durable-file.ts'
import { syncFileSystem } from '../adapters/sync-file-system.ts'
import { writeRecord } from '../attest/record.ts'
import type { SharedPath } from '../config.ts'
import { type AppLayout, versionPath } from '../layout/app-layout.ts'
import { moveToTrash } from '../layout/trash.ts'
import type { BuildPlan } from './build-plan.ts'
import { recordOf, topModeOf } from './disk-record.ts'
import { repairVersion, runningRecord } from './repair-version.ts'
import { putSeed } from './shared-paths.ts'
import { mtimeSecondsOf } from '#shared/manifest.ts'
import type { Release } from '#shared/release.ts'

const topSeconds = mtimeSecondsOf({ type: 'directory', path: '', mode: 0o755 })

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
  readonly groupId: number | null
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
 * Makes a whole stage the version, or repairs the running version with it.
 * @throws LockstepError `disk-error`, `no-space`; `tree-drifted` when `current` runs on the version
 *   and that cannot be repaired
 */
export async function finishStage(
  finishing: Finishing,
): Promise<{ outcome: 'staged' | 'repaired'; seeded: readonly string[] }> {
  const { layout, release, plan, stage, groupId } = finishing
  const topMode = topModeOf(stage, groupId)
  chmodSync(stage, topMode)
  const entries = recordOf(stage, plan, topMode, groupId)
  await syncFileSystem(stage)
  // Only what is durable may become what no later stage will write again.
  const seeded: string[] = []
  for (const path of finishing.missing) {
    if (await putSeed(layout, path, join(finishing.seeds, path))) seeded.push(path)
  }
  const running = runningRecord(layout, release)
  if (running !== null) {
    await repairVersion(layout, running, { plan, stage, groupId })
    return { outcome: 'repaired', seeded }
  }
  clearVersion(layout, release.version)
  writeRecord(layout, { ...release, sharedPaths: finishing.sharedPaths }, entries)
  renameSync(stage, versionPath(layout, release.version))
  syncDirectory(layout.versions)
  syncDirectory(layout.lockstep)
  return { outcome: 'staged', seeded }
}

/** Moves away what stands at `versions/<version>`, which `current` does not run. */
function clearVersion(layout: AppLayout, version: string): void {
  const path = versionPath(layout, version)
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return
  moveToTrash(layout, path)
  syncDirectory(layout.versions)
}
