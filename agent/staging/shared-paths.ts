// The shared paths on the disk: which are there, and how a shared directory gets its first content.
// What is below `shared/` belongs to the app: nothing here ever replaces or changes it.

import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  realpathSync,
  renameSync,
  statSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { SharedPath } from '../config.ts'
import { holdDirectory, isTrusted } from '../adapters/foreign-file.ts'
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
    checkWay(layout, path)
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
  if (existsSync(join(layout.shared, path))) return false
  const parent = holdWay(layout, path)
  try {
    const target = join(parent.path, basename(path))
    if (existsSync(seed)) await moveDirectory(seed, target)
    else ensureDirectory(target, 0o755)
    syncDirectory(parent.path)
  } finally {
    parent.close()
  }
  return true
}

/**
 * The app may write in its shared directories, and could lay a link in the way that leads to another
 * app's root. Links of root's and of the agent's own user are a host's choice, and followed.
 * @throws LockstepError `shared-missing`
 */
function checkWay({ shared }: AppLayout, path: string): void {
  for (let above = dirname(path); above !== '.'; above = dirname(above)) {
    const absolute = join(shared, above)
    const stats = lstatSync(absolute, { throwIfNoEntry: false })
    if (stats?.isSymbolicLink() !== true || isTrusted(stats.uid)) continue
    const hint = 'Remove it, or make the link as root if it ought to lead there.'
    throw sharedMissing(absolute, `is a link that user ${stats.uid} made`, hint)
  }
}

/** The directory that the path is in, held from the top down, so that nothing changes on the way. */
function holdWay(layout: AppLayout, path: string): { path: string; close: () => void } {
  checkWay(layout, path)
  let held = holdDirectory(realpathSync(layout.shared))
  for (const name of path.split('/').slice(0, -1)) {
    const next = join(String(held.path), name)
    ensureDirectory(next, 0o755)
    const stats = lstatSync(next)
    const above = held
    held = holdDirectory(stats.isSymbolicLink() && isTrusted(stats.uid) ? realpathSync(next) : next)
    above.close()
  }
  return { path: String(held.path), close: held.close }
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
