// The private directory in which a tree is built. An interrupted stage left one: what of it proves
// to be right is kept, everything else is removed. Blocks its thread.

import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmdirSync,
  type Stats,
  unlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import type { FileHasher } from '../attest/hash-file.ts'
import { type ManifestDirectory, type ManifestFile, mtimeSecondsOf } from '#shared/manifest.ts'

export interface Expected {
  readonly directories: readonly ManifestDirectory[]
  readonly files: readonly ManifestFile[]
}

/** Only the agent may look in, and write, until the tree is whole. */
const buildMode = 0o700

/**
 * Goes through what an interrupted stage left at `top`, if anything.
 * @returns the paths of the files that are there and proven by their hash
 */
export function keepProven(
  top: string,
  expected: Expected,
  hasher: FileHasher,
  onFile: (sizeBytes: number) => void,
): Set<string> {
  const proven = new Set<string>()
  const stats = lstatSync(top, { throwIfNoEntry: false })
  if (stats?.isDirectory() !== true) {
    removeTree(top, stats)
    return proven
  }
  const directories = new Set(expected.directories.map(({ path }) => path))
  const files = new Map(expected.files.map((file) => [file.path, file]))
  const visit = (directory: string): void => {
    openForBuilding(join(top, directory))
    for (const name of readdirSync(join(top, directory))) {
      const path = directory === '' ? name : `${directory}/${name}`
      const stats = lstatSync(join(top, path))
      const file = files.get(path)
      if (stats.isDirectory() && directories.has(path)) visit(path)
      else if (file !== undefined && isProven(join(top, path), file, stats, hasher)) {
        proven.add(path)
        onFile(file.sizeBytes)
      } else removeTree(join(top, path), stats)
    }
  }
  visit('')
  return proven
}

/** Creates the top and every directory below it that is not there. */
export function makeDirectories(top: string, directories: readonly ManifestDirectory[]): void {
  for (const path of ['', ...directories.map((directory) => directory.path)]) {
    const absolute = join(top, path)
    if (lstatSync(absolute, { throwIfNoEntry: false }) !== undefined) continue
    mkdirSync(absolute, { mode: buildMode })
    openForBuilding(absolute)
  }
}

/** Not for nothing: chmod(2) takes the set-group-id bit away, by which what is built gets its group. */
function openForBuilding(path: string): void {
  if ((lstatSync(path).mode & 0o777) !== buildMode) chmodSync(path, buildMode)
}

/** Removes a file or a whole directory of the agent's own, whatever its modes; follows no link. */
export function removeTree(path: string, stats = lstatSync(path, { throwIfNoEntry: false })): void {
  if (stats === undefined) return
  if (!stats.isDirectory()) {
    unlinkSync(path)
    return
  }
  chmodSync(path, buildMode)
  for (const name of readdirSync(path)) removeTree(join(path, name))
  rmdirSync(path)
}

/** Mode and time were set last, so most of what was cut off is known without reading it. */
function isProven(path: string, file: ManifestFile, stats: Stats, hasher: FileHasher): boolean {
  const looksRight =
    stats.isFile() &&
    stats.size === file.sizeBytes &&
    (stats.mode & 0o7777) === file.mode &&
    stats.mtimeMs === mtimeSecondsOf(file) * 1000
  // With a mode that lets nobody read, it is fetched again.
  const isReadable = (file.mode & 0o400) !== 0
  return looksRight && isReadable && hasher.hash(path)?.sha256 === file.sha256
}
