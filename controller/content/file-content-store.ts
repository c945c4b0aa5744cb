// Content in local files: what a controller keeps below its data directory.
//
// A final name never stands for bytes that a power loss could take: a batch is written under
// incoming/, made durable with one syncfs, renamed, and made durable again. So one power loss costs
// at most what was never committed, and two syncs serve any number of files.

import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { ContentClaims } from './content-claims.ts'
import { ContentLayout } from './content-layout.ts'
import { removeFile, sweepContent } from './content-sweep.ts'
import { withDiskErrors } from './disk-error.ts'
import { FileContentBatch } from './file-content-batch.ts'
import type {
  ByteRange,
  ContentBatch,
  ContentKind,
  ContentStore,
  SweepReport,
  SweepRequest,
} from './ports.ts'
import { ReadGarbage } from './read-garbage.ts'
import { syncFileSystem } from './sync-file-system.ts'

interface DiskCalls {
  /** Makes everything written to the file system of a directory durable. */
  readonly sync: (directory: string) => Promise<void>
  /** Removes one file for good. */
  readonly remove: (path: string) => Promise<void>
}

/**
 * Prepares the directory and removes what a killed controller left half-done. Only one process may
 * use a data directory; that is for the caller to see to.
 * @throws LockstepError `disk-error`, `no-space`.
 */
export async function openFileContentStore(
  root: string,
  sync: DiskCalls['sync'] = syncFileSystem,
  remove: DiskCalls['remove'] = removeFile,
): Promise<ContentStore> {
  const layout = new ContentLayout(root)
  await withDiskErrors('The data directory could not be prepared', async () => {
    await rm(layout.incoming, { recursive: true, force: true })
    for (const directory of layout.directories()) {
      await mkdir(directory, { recursive: true, mode: 0o700 })
    }
  })
  return new FileContentStore(layout, { sync, remove })
}

class FileContentStore implements ContentStore {
  readonly #layout: ContentLayout
  readonly #calls: DiskCalls
  readonly #garbage = new ReadGarbage()
  readonly #claims = new ContentClaims()
  #lastSweep: Promise<unknown> = Promise.resolve()

  constructor(layout: ContentLayout, calls: DiskCalls) {
    this.#layout = layout
    this.#calls = calls
  }

  async sizeOf(kind: ContentKind, sha256: string): Promise<number | null> {
    const path = this.#layout.pathOf(kind, sha256)
    return await withDiskErrors('Content could not be looked up', async () => {
      try {
        return (await stat(path)).size
      } catch (error) {
        if (systemCodeOf(error) === 'ENOENT') return null
        throw error
      }
    })
  }

  async read(kind: ContentKind, sha256: string, range?: ByteRange): Promise<Readable> {
    const path = this.#layout.pathOf(kind, sha256)
    return await withDiskErrors('Content could not be read', () =>
      readFileRange(path, range, this.#garbage),
    )
  }

  async readWhole(kind: ContentKind, sha256: string): Promise<Buffer> {
    const path = this.#layout.pathOf(kind, sha256)
    return await withDiskErrors('Content could not be read', () => readFile(path))
  }

  async setAside(kind: ContentKind, sha256: string): Promise<void> {
    const path = this.#layout.pathOf(kind, sha256)
    await withDiskErrors('Damaged content could not be set aside', () =>
      rename(path, `${path}.damaged`),
    )
  }

  async begin(): Promise<ContentBatch> {
    const { sync } = this.#calls
    return await FileContentBatch.create(this.#layout, this, { sync, claims: this.#claims.open() })
  }

  async claim(kind: ContentKind, sha256: string): Promise<() => void> {
    return await this.#claims.read(this.#layout.pathOf(kind, sha256))
  }

  async sweep(request: SweepRequest): Promise<SweepReport> {
    const parts = {
      layout: this.#layout,
      claims: this.#claims,
      store: this,
      remove: this.#calls.remove,
    }
    const sweep = Promise.allSettled([this.#lastSweep]).then(() =>
      withDiskErrors('Sweeping failed', () => sweepContent(parts, request)),
    )
    this.#lastSweep = sweep
    return await sweep
  }
}

/** The bytes of a file from `start` to `end`, both inclusive; fails before the first byte or not. */
export async function readFileRange(
  path: string,
  range: ByteRange | undefined,
  garbage: ReadGarbage,
): Promise<Readable> {
  if (range !== undefined && range.end < range.start) return Readable.from([])
  const file = await open(path, 'r')
  return garbage.of(file.createReadStream({ ...range, highWaterMark: limits.contentReadBytes }))
}
