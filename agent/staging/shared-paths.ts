// The shared paths on the disk: which are there, and how a shared directory gets its first content.
// What is below `shared/` belongs to the app: nothing here ever replaces or changes it.

import { chmodSync, existsSync, renameSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { SharedPath } from '../config.ts'
import { syncDirectory } from '../adapters/durable-file.ts'
import { type AppLayout, ensureDirectory } from '../layout/app-layout.ts'
import { LockstepError } from '#shared/errors.ts'

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
export function putSeed(layout: AppLayout, path: string, seed: string): boolean {
  const target = join(layout.shared, path)
  if (existsSync(target)) return false
  ensureDirectory(dirname(target), 0o755)
  if (existsSync(seed)) moveDirectory(seed, target)
  else ensureDirectory(target, 0o755)
  syncDirectory(dirname(target))
  return true
}

/** rename(2) to another parent writes `..`, so a directory that its owner may not write is opened. */
function moveDirectory(from: string, to: string): void {
  const mode = statSync(from).mode & 0o7777
  chmodSync(from, mode | 0o200)
  renameSync(from, to)
  chmodSync(to, mode)
}

function sharedMissing(path: string, what: string, hint: string): LockstepError {
  return new LockstepError('shared-missing', `${path} ${what}`, { hint, details: { path } })
}
