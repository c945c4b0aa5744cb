// The quick attest: whether the disk still is what staging left there, by lstat(2) of every entry
// against the record: type, mode, size, mtime, inode, and a link's target. Not ctime, which a hard
// link changes. It takes turns with the event loop, since reports and a timed activation must not
// wait for it.

import { lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs'
import { join } from 'node:path'
import { asDiskError, withDiskErrors } from '../adapters/disk-error.ts'
import { TimeSlice } from '../adapters/time-slice.ts'
import type { SharedPath } from '../config.ts'
import { type AppLayout, versionPath } from '../layout/app-layout.ts'
import {
  BadRecord,
  type RecordedEntry,
  type RecordHead,
  readRecordHead,
  recordedEntries,
} from './record.ts'
import { systemCodeOf } from '#shared/errors.ts'

export type DifferenceKind =
  | 'missing'
  | 'type'
  | 'mode'
  | 'size'
  | 'mtime'
  | 'inode'
  | 'target'
  | 'content'
  | 'unreadable'

export interface Difference {
  readonly path: string
  readonly kind: DifferenceKind
}

export interface Attest {
  /**
   * `whole`: every recorded entry is as it was. `drifted`: `differences` says what is not.
   * `unrecorded`: there is no record, so nothing can be said; it has to be staged.
   */
  readonly outcome: 'whole' | 'drifted' | 'unrecorded'
  readonly version: string
  /** The tree digest that was staged; null when unrecorded. */
  readonly tree: string | null
  readonly sharedPaths: readonly SharedPath[]
  readonly differenceCount: number
  /** The first of them, by path. */
  readonly differences: readonly Difference[]
  /** Names that no record knows, in directories that were written to: told, but no drift. */
  readonly extras: readonly string[]
}

/** How many differences and extras are named: enough to see what happened, and little to send. */
export const namedMax = 20

/** Directories that are compared name by name after somebody wrote into them. */
const touchedMax = 200

/**
 * @param named how many differences and extras are named
 * @throws LockstepError `disk-error` when not even the record can be read.
 */
export async function quickAttest(
  layout: AppLayout,
  version: string,
  named = namedMax,
): Promise<Attest> {
  const head = withDiskErrors(`Attesting ${version}`, () => readRecordHead(layout, version))
  if (head === null) return unrecorded(version)
  const top = versionPath(layout, version)
  const found = new Findings(named)
  const touched = new Set<string>()
  const slice = new TimeSlice()
  try {
    for (const entry of recordedEntries(layout, head)) {
      if (slice.isOver) await slice.rest()
      const stats = statsOf(join(top, entry.path))
      found.note(entry.path, differenceOf(join(top, entry.path), entry, stats))
      const isThere = stats !== 'missing' && stats !== 'unreadable'
      const isTouched = entry.type === 'directory' && isThere && stats.mtimeMs !== entry.mtimeMs
      if (isTouched && touched.size < touchedMax) touched.add(entry.path)
    }
    const extras = touched.size === 0 ? [] : await extrasIn(layout, head, { touched, named }, slice)
    return attestOf(head, found, extras)
  } catch (error) {
    if (error instanceof BadRecord) return unrecorded(version)
    throw asDiskError(error, `Attesting ${version}`)
  }
}

/** Collects differences: all are counted, the first are named. */
export class Findings {
  readonly differences: Difference[] = []
  /** How many are named, and how many extras. */
  readonly named: number
  count = 0

  constructor(named = namedMax) {
    this.named = named
  }

  note(path: string, kind: DifferenceKind | null): void {
    if (kind === null) return
    this.count += 1
    if (this.differences.length < this.named) this.differences.push({ path, kind })
  }
}

export function attestOf(
  head: Omit<RecordHead, 'entryCount'>,
  found: Findings,
  extras: readonly string[],
): Attest {
  return {
    outcome: found.count === 0 ? 'whole' : 'drifted',
    version: head.version,
    tree: head.tree,
    sharedPaths: head.sharedPaths,
    differenceCount: found.count,
    differences: found.differences,
    extras: extras.slice(0, found.named),
  }
}

export function unrecorded(version: string): Attest {
  return {
    outcome: 'unrecorded',
    version,
    tree: null,
    sharedPaths: [],
    differenceCount: 0,
    differences: [],
    extras: [],
  }
}

/** What of an entry is not as recorded; a directory's size and mtime change with what it holds. */
function differenceOf(
  path: string,
  entry: RecordedEntry,
  stats: Stats | 'missing' | 'unreadable',
): DifferenceKind | null {
  if (stats === 'missing' || stats === 'unreadable') return stats
  if (typeOf(stats) !== entry.type) return 'type'
  if (entry.type !== 'link' && (stats.mode & 0o7777) !== entry.mode) return 'mode'
  if (entry.type === 'file' && stats.size !== entry.sizeBytes) return 'size'
  if (entry.type !== 'directory' && stats.mtimeMs !== entry.mtimeMs) return 'mtime'
  if (stats.ino !== entry.inode) return 'inode'
  return entry.type === 'link' && targetOf(path) !== entry.target ? 'target' : null
}

/** Null where there is no link any more. */
function targetOf(path: string): string | null {
  try {
    return readlinkSync(path)
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error
    return null
  }
}

export function typeOf(stats: Stats): RecordedEntry['type'] | 'other' {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'directory'
  return stats.isSymbolicLink() ? 'link' : 'other'
}

/** lstat(2) of an entry; `missing` also where its parent is no directory any more. */
function statsOf(path: string): Stats | 'missing' | 'unreadable' {
  try {
    return lstatSync(path)
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'missing' : 'unreadable'
  }
}

/** A second walk over the record, for the names in directories whose mtime says they changed. */
async function extrasIn(
  layout: AppLayout,
  head: RecordHead,
  { touched, named }: { touched: ReadonlySet<string>; named: number },
  slice: TimeSlice,
): Promise<string[]> {
  const known = new Set<string>()
  for (const entry of recordedEntries(layout, head)) {
    if (slice.isOver) await slice.rest()
    const parent = entry.path.slice(0, Math.max(0, entry.path.lastIndexOf('/')))
    if (touched.has(parent)) known.add(entry.path)
  }
  const extras: string[] = []
  for (const directory of touched) {
    if (slice.isOver) await slice.rest()
    for (const name of namesIn(join(versionPath(layout, head.version), directory))) {
      const path = directory === '' ? name : `${directory}/${name}`
      if (!known.has(path) && extras.length < named) extras.push(path)
    }
  }
  return extras
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    // What it held was told entry by entry.
    if (systemCodeOf(error) === undefined) throw error
    return []
  }
}
