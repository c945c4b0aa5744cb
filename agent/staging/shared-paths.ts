// The shared paths on the disk: which are there, and how a shared directory gets its first content.
// What is below `shared/` belongs to the app: nothing here ever replaces or changes it.

import { chmodSync, cpSync, existsSync, renameSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { SharedPath } from '../config.ts'
import { syncDirectory, temporaryPrefix } from '../adapters/durable-file.ts'
import { syncFileSystem } from '../adapters/sync-file-system.ts'
import { type AppLayout, ensureDirectory } from '../layout/app-layout.ts'
import { removeTree } from './build-directory.ts'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'

/**
 * The shared directories that are not there yet.
 * @throws LockstepError `shared-missing` for a file that is not there, since only its owner knows
 *   what belongs into it, and for what is a file here and a directory in the configuration.
 */
export function missingSharedPaths(
  layout: AppLayout,
  sharedPaths: readonly SharedPath[],
): Set<string> {
  const missing = new Set<string>()
  for (const { path, type } of sharedPaths) {
    const absolute = join(layout.shared, path)
    const stats = statSync(absolute, { throwIfNoEntry: false })
    if (stats === undefined && type === 'directory') missing.add(path)
    else if (stats === undefined) {
      throw sharedMissing(absolute, 'does not exist', `Create it: the release links to it.`)
    } else if (stats.isDirectory() !== (type === 'directory')) {
      const written = type === 'directory' ? `"${path}"` : `"${path}/"`
      throw sharedMissing(
        absolute,
        `is ${stats.isDirectory() ? 'a directory' : 'no directory'}`,
        `Write ${written} under "shared" in the agent’s configuration.`,
      )
    }
  }
  return missing
}

/**
 * Puts a shared directory in its place, unless one has come meanwhile.
 * @param seed where its content was built; an empty directory when the release has none
 * @returns whether it was put there
 */
export async function putSeed(layout: AppLayout, path: string, seed: string): Promise<boolean> {
  const target = join(layout.shared, path)
  if (existsSync(target)) return false
  ensureDirectory(dirname(target), 0o755)
  if (existsSync(seed)) await moveDirectory(seed, target)
  else ensureDirectory(target, 0o755)
  syncDirectory(dirname(target))
  return true
}

/** rename(2) to another parent writes `..`, so a directory that its owner may not write is opened. */
async function moveDirectory(from: string, to: string): Promise<void> {
  const mode = statSync(from).mode & 0o7777
  chmodSync(from, mode | 0o200)
  try {
    renameSync(from, to)
  } catch (error) {
    if (systemCodeOf(error) !== 'EXDEV') throw error
    await copyDirectory(from, to)
  }
  chmodSync(to, mode)
}

/** For a `shared/` on another file system: whole and durable before it has its name. */
async function copyDirectory(from: string, to: string): Promise<void> {
  const beside = join(dirname(to), `${temporaryPrefix}${basename(to)}`)
  removeTree(beside)
  cpSync(from, beside, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true })
  await syncFileSystem(beside)
  renameSync(beside, to)
}

function sharedMissing(path: string, what: string, hint: string): LockstepError {
  return new LockstepError('shared-missing', `${path} ${what}`, { hint, details: { path } })
}
