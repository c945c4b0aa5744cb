// Collects the entries of one archive into the entries of a release: strips names, adds the
// directories that are only implied, turns hard links into files. Judges each entry as it comes, so
// that a bad archive is refused at its first bad entry; formatManifest judges the whole again.

import assert from 'node:assert/strict'
import { checkLinkTarget, keptMode, refusedEntry, shownName } from '../entry-rules.ts'
import { LockstepError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { ManifestEntry } from '../manifest.ts'
import { parentOf } from '../tree-rules.ts'
import type { ArchivedEntry } from './archive-framing.ts'
import { releasePathOf } from './archive-path.ts'
import { badArchive } from './tar-header.ts'

/** A file whose content is still to come. */
export interface ExpectedFile {
  path: string
  /** At most 0755. */
  mode: number
  sizeBytes: number
}

export class ReleaseTree {
  readonly #strip: number
  readonly #entries = new Map<string, ManifestEntry>()
  /** Directories that no entry of the archive has named yet. */
  readonly #implied = new Set<string>()

  /** @param strip leading segments to remove, 0 or more */
  constructor(strip: number) {
    assert(Number.isSafeInteger(strip) && strip >= 0, 'strip is a whole number')
    this.#strip = strip
  }

  /**
   * @returns the file to read the content of and hand to `addFile`, or null for everything else
   * @throws LockstepError `refused-entry`, `archive-too-large`.
   */
  add(archived: ArchivedEntry): ExpectedFile | null {
    const path = releasePathOf(archived.path, archived.type === 'directory', this.#strip)
    if (path === null) {
      keptMode(archived.path, archived.mode)
      return null
    }
    this.#claim(path)
    switch (archived.type) {
      case 'file':
        return { path, mode: keptMode(path, archived.mode), sizeBytes: archived.sizeBytes }
      case 'directory':
        this.#set({ type: 'directory', path, mode: keptMode(path, archived.mode) })
        return null
      case 'link':
        checkLinkTarget(path, archived.target)
        this.#set({ type: 'link', path, target: archived.target })
        return null
      case 'hard-link':
        keptMode(path, archived.mode)
        this.#set({ ...this.#linkedFile(path, archived.target), path })
        return null
    }
  }

  addFile(file: ExpectedFile, sha256: string): void {
    this.#set({ type: 'file', ...file, sha256 })
  }

  entryAt(path: string): ManifestEntry | undefined {
    return this.#entries.get(path)
  }

  /**
   * In any order.
   * @throws LockstepError `bad-archive` when there are none.
   */
  entries(): ManifestEntry[] {
    if (this.#entries.size > 0) return [...this.#entries.values()]
    throw badArchive(
      this.#strip === 0
        ? 'The tarball has no entries'
        : `The tarball has no entries left after --strip ${this.#strip}`,
    )
  }

  /** Makes sure that the name is free and that everything above it is a directory. */
  #claim(path: string): void {
    if (this.#entries.has(path) && !this.#implied.has(path)) throw refusedEntry('duplicate', path)
    for (let above = parentOf(path); above !== ''; above = parentOf(above)) {
      const entry = this.#entries.get(above)
      if (entry === undefined) this.#imply(above)
      else if (entry.type === 'directory') break
      else throw refusedEntry('below-non-directory', path, shownName(above))
    }
  }

  #imply(path: string): void {
    this.#set({ type: 'directory', path, mode: 0o755 })
    this.#implied.add(path)
  }

  #set(entry: ManifestEntry): void {
    if (entry.type !== 'directory' && this.#implied.has(entry.path)) {
      throw refusedEntry('above-entries', entry.path)
    }
    this.#implied.delete(entry.path)
    this.#entries.set(entry.path, entry)
    if (this.#entries.size <= limits.entriesMax) return
    throw new LockstepError(
      'archive-too-large',
      `The tarball has over ${limits.entriesMax} entries`,
      {
        hint: 'Pack what consists of many small files into fewer.',
      },
    )
  }

  #linkedFile(path: string, target: string): Extract<ManifestEntry, { type: 'file' }> {
    const note = `target ${shownName(target)}`
    const linkedPath = target === '' ? null : releasePathOf(target, false, this.#strip)
    const linked = linkedPath === null ? undefined : this.#entries.get(linkedPath)
    if (linked?.type !== 'file') throw refusedEntry('hard-link-target', path, note)
    return linked
  }
}
