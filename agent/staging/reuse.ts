// Takes unchanged files from releases that the host holds: by a hard link where that is safe, else
// by a copy. Every byte so taken is hashed; a held file that is not what it was is told, and the
// release fetches its own. Blocks its thread.

import {
  chmodSync,
  chownSync,
  constants,
  copyFileSync,
  linkSync,
  lstatSync,
  type Stats,
  unlinkSync,
  utimesSync,
} from 'node:fs'
import { join } from 'node:path'
import type { FileHasher } from '../attest/hash-file.ts'
import { namedMax } from '../attest/quick-attest.ts'
import { BadRecord, type RecordedEntry, readRecordHead, recordedEntries } from '../attest/record.ts'
import { type AppLayout, versionPath } from '../layout/app-layout.ts'
import { systemCodeOf } from '#shared/errors.ts'
import { type ManifestFile, mtimeSecondsOf } from '#shared/manifest.ts'
import type { Release } from '#shared/release.ts'

/** A file of a held release with the content that is wanted. */
interface Source {
  readonly version: string
  readonly recorded: RecordedEntry & { readonly type: 'file' }
}

export type ReuseOutcome = 'linked' | 'copied' | 'none'

export interface Suspect {
  readonly version: string
  readonly path: string
}

/** More copies of one content than this are never tried. */
const sourcesPerContentMax = 4

/** Codes that say that something else stands where a held file was, or that nobody may see it. */
const lookRefusals = ['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES']

/** Codes with which a file system or kernel refuses one more hard link; a copy then does. */
const linkRefusals = [
  ...lookRefusals,
  'EXDEV',
  'EMLINK',
  'EPERM',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
]

export class ReusePool {
  readonly #layout: AppLayout
  readonly #hasher: FileHasher
  readonly #isLinking: boolean
  readonly #groupId: number | null
  readonly #sources = new Map<string, Source[]>()
  /** Held files that did not prove to be what their record says; of each version the first. */
  readonly suspects: Suspect[] = []

  constructor(
    layout: AppLayout,
    hasher: FileHasher,
    { isLinking, groupId }: { isLinking: boolean; groupId: number | null },
  ) {
    this.#layout = layout
    this.#hasher = hasher
    this.#isLinking = isLinking
    this.#groupId = groupId
  }

  /** Finds where the wanted contents are; reads records only. */
  search(held: readonly Release[], wanted: readonly ManifestFile[]): void {
    const contents = new Set(wanted.map(({ sha256 }) => sha256))
    for (const { version, tree } of held) {
      try {
        const head = readRecordHead(this.#layout, version)
        if (head?.tree !== tree) continue
        for (const entry of recordedEntries(this.#layout, head)) {
          if (entry.type === 'file' && contents.has(entry.sha256)) this.#add(version, entry)
        }
      } catch (error) {
        if (!(error instanceof BadRecord)) throw error
      }
    }
  }

  /** Whether the file will probably cost no space. */
  isLinkable(file: ManifestFile): boolean {
    return this.#linkSources(file).length > 0
  }

  /**
   * Puts `file` at `target`, which is not there.
   * @param mayLink false for what the app writes to: a shared directory's first content
   */
  place(file: ManifestFile, target: string, mayLink: boolean): ReuseOutcome {
    for (const source of mayLink ? this.#linkSources(file) : []) {
      if (this.#take(source, file, target, 'linked')) return 'linked'
    }
    for (const source of this.#sources.get(file.sha256) ?? []) {
      if (this.#take(source, file, target, 'copied')) return 'copied'
    }
    return 'none'
  }

  #add(version: string, recorded: RecordedEntry & { readonly type: 'file' }): void {
    const sources = this.#sources.get(recorded.sha256) ?? []
    const hasSameMode = sources.some((source) => source.recorded.mode === recorded.mode)
    // One of every mode is worth more than many of one.
    if (sources.length >= sourcesPerContentMax && hasSameMode) return
    sources.push({ version, recorded })
    this.#sources.set(recorded.sha256, sources)
  }

  #linkSources(file: ManifestFile): Source[] {
    if (!this.#isLinking) return []
    const sources = this.#sources.get(file.sha256) ?? []
    return sources.filter(({ recorded }) => recorded.mode === file.mode)
  }

  #take(source: Source, file: ManifestFile, target: string, how: 'linked' | 'copied'): boolean {
    const path = join(versionPath(this.#layout, source.version), source.recorded.path)
    const stats = this.#recordedStats(source, path)
    if (stats === null) return false
    const isThere =
      how === 'copied'
        ? copy(path, target)
        : isSharable(file, stats, this.#groupId) && link(path, target)
    if (!isThere) return false
    const sha256 = this.#hashOf(target)
    if (sha256 === file.sha256) {
      if (how === 'copied') dressCopy(file, target, this.#groupId)
      return true
    }
    unlinkSync(target)
    if (sha256 !== 'unreadable') this.#suspect(source)
    return false
  }

  /** A mode of the release may let nobody read, and then only the network can tell what is right. */
  #hashOf(target: string): string | null {
    try {
      return this.#hasher.hash(target)?.sha256 ?? null
    } catch (error) {
      if (systemCodeOf(error) === 'EACCES') return 'unreadable'
      throw error
    }
  }

  /** The very inode that was staged: nothing that was put in its place is ever linked or copied. */
  #recordedStats(source: Source, path: string): Stats | null {
    const { recorded } = source
    const stats = statsOf(path)
    const isSame =
      stats?.isFile() === true &&
      stats.ino === recorded.inode &&
      stats.size === recorded.sizeBytes &&
      stats.mtimeMs === recorded.mtimeMs &&
      (stats.mode & 0o7777) === recorded.mode
    if (isSame) return stats
    this.#suspect(source)
    return null
  }

  #suspect({ version, recorded: { path } }: Source): void {
    const known = this.suspects.filter((one) => one.version === version)
    if (known.length >= namedMax || known.some((one) => one.path === path)) return
    this.suspects.push({ version, path })
  }
}

/** Shares blocks where the file system can (btrfs, xfs), copies elsewhere. copy_file_range(2). */
const copyFlags = constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE

/** A link shares owner, group and time too; the mode was looked at in the record. */
function isSharable(file: ManifestFile, stats: Stats, groupId: number | null): boolean {
  return (
    stats.uid === process.geteuid?.() &&
    (groupId === null || stats.gid === groupId) &&
    stats.mtimeMs === mtimeSecondsOf(file) * 1000
  )
}

/**
 * libuv gives a copy the owner and group of its source where it may: the owner where the agent is root.
 * As a service the agent may not even ask for it, so nothing is changed that is right.
 */
function dressCopy(file: ManifestFile, target: string, groupId: number | null): void {
  const user = process.geteuid?.() ?? -1
  const { uid, gid } = lstatSync(target)
  const isRight = uid === user && (groupId === null || gid === groupId)
  if (!isRight) chownSync(target, user, groupId ?? process.getegid?.() ?? -1)
  chmodSync(target, file.mode)
  utimesSync(target, mtimeSecondsOf(file), mtimeSecondsOf(file))
}

/** Null where the system does not get that far, as below a directory that became a file. */
function statsOf(path: string): Stats | null {
  try {
    return lstatSync(path)
  } catch (error) {
    if (lookRefusals.includes(systemCodeOf(error) ?? '')) return null
    throw error
  }
}

function copy(path: string, target: string): boolean {
  try {
    copyFileSync(path, target, copyFlags)
    return true
  } catch (error) {
    if (lookRefusals.includes(systemCodeOf(error) ?? '')) return false
    throw error
  }
}

function link(path: string, target: string): boolean {
  try {
    linkSync(path, target)
    return true
  } catch (error) {
    if (linkRefusals.includes(systemCodeOf(error) ?? '')) return false
    throw error
  }
}
