// The deep attest: whether a version's files still hash to its manifest, entry by entry, with
// nothing more and nothing less. Reads every byte and blocks its thread: for a worker.

import { lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs'
import { join } from 'node:path'
import type { BuildPlan } from '../staging/build-plan.ts'
import { type DifferenceKind, Findings, typeOf } from './quick-attest.ts'
import type { FileHasher } from './hash-file.ts'
import { systemCodeOf } from '#shared/errors.ts'
import type { ManifestEntry } from '#shared/manifest.ts'

export interface DeepFindings {
  readonly found: Findings
  /** Paths that the release does not have; the first are named. */
  readonly extras: readonly string[]
}

/** @param top the version's directory */
export function compareWithPlan(
  top: string,
  plan: Pick<BuildPlan, 'directories' | 'files' | 'links'>,
  hasher: FileHasher,
  found = new Findings(),
): DeepFindings {
  const expected = new Map<string, ManifestEntry>()
  for (const entry of [...plan.directories, ...plan.files, ...plan.links]) {
    expected.set(entry.path, entry)
  }
  const extras: string[] = []
  const visit = (directory: string): void => {
    for (const name of readdirSync(join(top, directory))) {
      const path = directory === '' ? name : `${directory}/${name}`
      const entry = expected.get(path)
      if (entry === undefined) {
        if (extras.length < found.named) extras.push(path)
        continue
      }
      expected.delete(path)
      const stats = lstatSync(join(top, path))
      const kind = differenceOf(join(top, path), entry, stats, hasher)
      found.note(path, kind)
      if (kind === null && entry.type === 'directory') visit(path)
    }
  }
  visit('')
  for (const path of expected.keys()) found.note(path, 'missing')
  return { found, extras }
}

/**
 * What of an entry is not as its manifest says; reads a file whole. Times are not content.
 * @param path where it is on the disk, as `stats` saw it
 */
export function differenceOf(
  path: string,
  entry: ManifestEntry,
  stats: Stats,
  hasher: FileHasher,
): DifferenceKind | null {
  return readable(() => differenceBetween(path, entry, stats, hasher))
}

function differenceBetween(
  path: string,
  entry: ManifestEntry,
  stats: Stats,
  hasher: FileHasher,
): DifferenceKind | null {
  if (typeOf(stats) !== entry.type) return 'type'
  if (entry.type === 'link') return readlinkSync(path) === entry.target ? null : 'target'
  if ((stats.mode & 0o7777) !== entry.mode) return 'mode'
  if (entry.type === 'directory') return null
  if (stats.size !== entry.sizeBytes) return 'size'
  return hasher.hash(path)?.sha256 === entry.sha256 ? null : 'content'
}

function readable(look: () => DifferenceKind | null): DifferenceKind | null {
  try {
    return look()
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    return code === 'ENOENT' ? 'missing' : 'unreadable'
  }
}
