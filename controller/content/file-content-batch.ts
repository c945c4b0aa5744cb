// One batch of content on its way into the files of the store: everything lies in a directory of
// its own until it is committed, and nothing of it is left after a failure.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { type FileHandle, mkdir, mkdtemp, open, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { sha256Hex } from '#shared/ids.ts'
import { limits } from '#shared/limits.ts'
import { BoundedTasks } from './bounded-tasks.ts'
import type { BatchClaims } from './content-claims.ts'
import type { ContentLayout } from './content-layout.ts'
import { withDiskErrors } from './disk-error.ts'
import type {
  ContentBatch,
  ContentKind,
  ContentStore,
  ContentWriter,
  StoredContent,
} from './ports.ts'

interface BatchParts {
  /** Makes everything written to the file system of a directory durable. */
  readonly sync: (directory: string) => Promise<void>
  /** Final paths of what this batch holds or found in the store already: no sweep removes them. */
  readonly claims: BatchClaims
}

export class FileContentBatch implements ContentBatch {
  readonly #layout: ContentLayout
  readonly #store: Pick<ContentStore, 'sizeOf'>
  readonly #sync: BatchParts['sync']
  readonly #claims: BatchClaims
  readonly #directory: string
  readonly #writes = new BoundedTasks(limits.contentWritesMax)
  readonly #writers = new Set<FileWriter>()
  readonly #renames: { from: string; to: string }[] = []
  #files = 0
  #isClosed = false

  private constructor(
    layout: ContentLayout,
    store: Pick<ContentStore, 'sizeOf'>,
    { sync, claims }: BatchParts,
    directory: string,
  ) {
    this.#layout = layout
    this.#store = store
    this.#sync = sync
    this.#claims = claims
    this.#directory = directory
  }

  static async create(
    layout: ContentLayout,
    store: Pick<ContentStore, 'sizeOf'>,
    parts: BatchParts,
  ): Promise<FileContentBatch> {
    try {
      const directory = await withDiskErrors('Publishing could not begin', () =>
        mkdtemp(join(layout.incoming, 'batch-')),
      )
      return new FileContentBatch(layout, store, parts, directory)
    } catch (error) {
      parts.claims.letGo()
      throw error
    }
  }

  async put(kind: ContentKind, bytes: Uint8Array): Promise<string> {
    assert(!this.#isClosed, 'a closed batch takes nothing')
    const sha256 = sha256Hex(bytes)
    const to = this.#layout.pathOf(kind, sha256)
    if (this.#claims.has(to)) return sha256
    // Before looking: what is found in place from here on stays there.
    const claimed = this.#claims.add(to)
    await this.#writes.start(() =>
      withDiskErrors('Content could not be written', async () => {
        await claimed
        if ((await this.#store.sizeOf(kind, sha256)) === bytes.length) return
        const from = this.#nextPath()
        await writeFile(from, bytes, { flag: 'wx', mode: 0o600 })
        this.#renames.push({ from, to })
      }),
    )
    return sha256
  }

  async createWriter(kind: ContentKind): Promise<ContentWriter> {
    assert(!this.#isClosed, 'a closed batch takes nothing')
    const path = this.#nextPath()
    const file = await withDiskErrors('Content could not be written', () => open(path, 'wx', 0o600))
    const writer = new FileWriter(file, async (stored) => {
      this.#writers.delete(writer)
      await this.#keep(kind, path, stored)
    })
    this.#writers.add(writer)
    return writer
  }

  async commit(): Promise<void> {
    assert(!this.#isClosed, 'a batch is committed once')
    assert.equal(this.#writers.size, 0, 'every writer is finished before the commit')
    this.#isClosed = true
    await this.#writes.finish()
    await this.#sync(this.#directory)
    await withDiskErrors('Content could not be stored', () => this.#renameAll())
    await this.#sync(this.#layout.root)
  }

  async discard(): Promise<void> {
    this.#isClosed = true
    this.#claims.letGo()
    await this.#writes.settled()
    for (const writer of this.#writers) await writer.abandon()
    await withDiskErrors('What was left of publishing could not be removed', () =>
      rm(this.#directory, { recursive: true, force: true }),
    )
  }

  #nextPath(): string {
    this.#files += 1
    return join(this.#directory, String(this.#files))
  }

  async #keep(kind: ContentKind, from: string, stored: StoredContent): Promise<void> {
    const to = this.#layout.pathOf(kind, stored.sha256)
    const isKnown = this.#claims.has(to)
    await this.#claims.add(to)
    if (isKnown || (await this.#store.sizeOf(kind, stored.sha256)) === stored.sizeBytes) {
      await rm(from)
      return
    }
    this.#renames.push({ from, to })
  }

  async #renameAll(): Promise<void> {
    const directories = new Set(this.#renames.map(({ to }) => dirname(to)))
    for (const directory of directories) await mkdir(directory, { recursive: true, mode: 0o700 })
    const renames = new BoundedTasks(limits.contentWritesMax)
    for (const { from, to } of this.#renames) await renames.start(() => rename(from, to))
    await renames.finish()
  }
}

class FileWriter implements ContentWriter {
  readonly #file: FileHandle
  readonly #keep: (stored: StoredContent) => Promise<void>
  readonly #hash = createHash('sha256')
  #sizeBytes = 0

  constructor(file: FileHandle, keep: (stored: StoredContent) => Promise<void>) {
    this.#file = file
    this.#keep = keep
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes)
    await withDiskErrors('Content could not be written', async () => {
      // FileHandle.write may write less than it was given; writeFile does not.
      await this.#file.writeFile(bytes)
    })
    this.#sizeBytes += bytes.length
  }

  async finish(): Promise<StoredContent> {
    const stored = { sha256: this.#hash.digest('hex'), sizeBytes: this.#sizeBytes }
    await withDiskErrors('Content could not be written', async () => {
      await this.#file.close()
      await this.#keep(stored)
    })
    return stored
  }

  /** Closes the file; the batch removes it. */
  async abandon(): Promise<void> {
    await this.#file.close()
  }
}
