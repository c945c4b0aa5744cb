// Reads a directory as the entries of a release, by the rules that publishing judges it by: what is
// refused there is refused here, by name, before anything is packed.

import { createHash } from 'node:crypto'
import { createReadStream, type Dirent, readFileSync } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { join, matchesGlob } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { checkLinkTarget, checkPath, keptMode, refusedEntry } from '#shared/entry-rules.ts'
import { LockstepError } from '#shared/errors.ts'
import { sha256Hex } from '#shared/ids.ts'
import { limits } from '#shared/limits.ts'
import { comparePaths, type ManifestEntry, type ManifestFile } from '#shared/manifest.ts'

export interface ReleaseEntries {
  /** In manifest order. */
  readonly entries: readonly ManifestEntry[]
  /** Patterns that left nothing out: a typing mistake, most likely. */
  readonly idlePatterns: readonly string[]
  /** Files that are a pointer of Git LFS, and not what it points to. */
  readonly pointers: readonly string[]
}

/** https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md */
const pointerStart = 'version https://git-lfs.github.com/spec/v1\n'

/** What git keeps beside a tree, and a file of that name in submodules. */
const neverPacked = '.git'

/**
 * @param directory its real path
 * @param exclude globs; one without a slash means a name at any level
 * @throws LockstepError `refused-entry`, `archive-too-large`; the signal's reason
 */
export async function readEntries(
  directory: string,
  exclude: readonly string[],
  signal: AbortSignal,
): Promise<ReleaseEntries> {
  const reader = new EntryReader(directory, exclude, signal)
  await reader.readBelow('')
  return {
    entries: reader.entries.toSorted((a, b) => comparePaths(a.path, b.path)),
    idlePatterns: reader.idlePatterns(),
    pointers: reader.pointers,
  }
}

class EntryReader {
  readonly entries: ManifestEntry[] = []
  readonly pointers: string[] = []
  readonly #root: string
  readonly #exclude: readonly string[]
  readonly #signal: AbortSignal
  readonly #used = new Set<string>()

  constructor(root: string, exclude: readonly string[], signal: AbortSignal) {
    this.#root = root
    this.#exclude = exclude
    this.#signal = signal
  }

  idlePatterns(): string[] {
    return this.#exclude.filter((pattern) => !this.#used.has(pattern))
  }

  /** @param path of a directory in the release; empty for its top */
  async readBelow(path: string): Promise<void> {
    const found = await readdir(join(this.#root, path), { withFileTypes: true })
    for (const entry of found) {
      this.#signal.throwIfAborted()
      const below = path === '' ? entry.name : `${path}/${entry.name}`
      if (entry.name === neverPacked || this.#isExcluded(below, entry.name)) continue
      checkPath(below)
      this.entries.push(await this.#read(below, entry))
      if (this.entries.length > limits.entriesMax) {
        throw new LockstepError(
          'archive-too-large',
          `The release has more than ${limits.entriesMax} entries`,
          { hint: 'Leave out what the servers do not need: --exclude GLOB.' },
        )
      }
      if (entry.isDirectory()) await this.readBelow(below)
    }
  }

  #isExcluded(path: string, name: string): boolean {
    const pattern = this.#exclude.find((given) => {
      const glob = given.replace(/\/$/, '')
      return glob.includes('/')
        ? matchesGlob(path, glob.replace(/^\//, ''))
        : matchesGlob(name, glob)
    })
    if (pattern !== undefined) this.#used.add(pattern)
    return pattern !== undefined
  }

  async #read(path: string, entry: Dirent): Promise<ManifestEntry> {
    const place = join(this.#root, path)
    if (entry.isSymbolicLink()) {
      const target = await readlink(place)
      checkLinkTarget(path, target)
      return { type: 'link', path, target }
    }
    if (entry.isFIFO()) throw refusedEntry('fifo', path)
    if (entry.isBlockDevice() || entry.isCharacterDevice()) throw refusedEntry('device', path)
    const { mode, size } = await lstat(place)
    const kept = keptMode(path, mode & 0o7777)
    if (entry.isDirectory()) return { type: 'directory', path, mode: kept }
    if (!entry.isFile()) throw refusedEntry('unknown-type', path)
    return { type: 'file', path, mode: kept, ...(await this.#hash(path, size)) }
  }

  async #hash(
    path: string,
    sizeBytes: number,
  ): Promise<Pick<ManifestFile, 'sizeBytes' | 'sha256'>> {
    const place = join(this.#root, path)
    if (sizeBytes <= limits.contentInMemoryBytesMax) {
      // Reading small files at once takes a third of the time; others get their turn in between.
      if (this.entries.length % 64 === 0) await nextTurn()
      const bytes = readFileSync(place)
      if (bytes.length < 1024 && bytes.toString('latin1').startsWith(pointerStart)) {
        this.pointers.push(path)
      }
      return { sizeBytes: bytes.length, sha256: sha256Hex(bytes) }
    }
    const hash = createHash('sha256')
    let readBytes = 0
    const highWaterMark = limits.contentReadBytes
    for await (const chunk of createReadStream(place, { highWaterMark, signal: this.#signal })) {
      hash.update(chunk as Buffer)
      readBytes += (chunk as Buffer).length
    }
    return { sizeBytes: readBytes, sha256: hash.digest('hex') }
  }
}
