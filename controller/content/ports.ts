// What publishing and serving need of wherever the bytes of releases are kept. Everything in it is
// named by the SHA-256 of its bytes and never changes, so an adapter may be files or an object store.

import type { Readable } from 'node:stream'

/** Files of releases, manifests (named by the tree digest, which is their SHA-256), tarballs. */
export type ContentKind = 'content' | 'manifests' | 'artifacts'

export interface StoredContent {
  /** 64 lower-case hexadecimal digits. */
  sha256: string
  sizeBytes: number
}

export interface ContentStore {
  /** @returns bytes, or null when there is nothing of this name */
  sizeOf(kind: ContentKind, sha256: string): Promise<number | null>

  /**
   * @param range byte offsets, both inclusive as in HTTP; without it everything
   * @throws LockstepError `disk-error` when there is nothing of this name.
   */
  read(kind: ContentKind, sha256: string, range?: ByteRange): Promise<Readable>

  /** The same as `read` for what is small: in one piece. */
  readWhole(kind: ContentKind, sha256: string): Promise<Buffer>

  /** Takes damaged content out of use, so that publishing it again stores it anew. */
  setAside(kind: ContentKind, sha256: string): Promise<void>

  /** Begins a batch: nothing of it is to be found before `commit`. */
  begin(): Promise<ContentBatch>

  /**
   * Keeps what is there from being swept while it is read; what is being removed is gone when this
   * is done, so that looking comes after.
   * @returns lets go, once
   */
  claim(kind: ContentKind, sha256: string): Promise<() => void>

  /**
   * Removes what no recorded release is made of, beside whatever else goes on. One at a time; a
   * sweep that breaks off leaves every recorded tree whole, and the next one goes on.
   * @throws LockstepError `disk-error` when a recorded manifest is lacking or damaged: then nothing
   *   was removed.
   */
  sweep(request: SweepRequest): Promise<SweepReport>
}

export interface SweepRequest {
  /** Asked once, after the sweep has begun. */
  recorded: () => Promise<RecordedContent>
  /** Counts what would be removed, and removes nothing. */
  dryRun: boolean
}

export interface RecordedContent {
  trees: ReadonlySet<string>
  artifacts: ReadonlySet<string>
}

export interface SweepReport {
  /** How many were removed, or would be. */
  files: number
  bytes: number
}

export interface ByteRange {
  start: number
  end: number
}

export interface ContentBatch {
  /**
   * Adds what is held in memory. May return before it is written; `commit` waits for it.
   * @returns its SHA-256
   */
  put(kind: ContentKind, bytes: Uint8Array): Promise<string>

  /** Adds what comes in pieces. */
  createWriter(kind: ContentKind): Promise<ContentWriter>

  /**
   * Makes everything added durable, then findable, then that durable too: when this returns, a
   * power loss takes nothing of it away.
   */
  commit(): Promise<void>

  /**
   * Removes whatever is left of the batch; harmless after `commit`. Until then everything that it
   * added or found in place is safe from sweeps: to be called when the release is recorded.
   */
  discard(): Promise<void>
}

export interface ContentWriter {
  write(bytes: Uint8Array): Promise<void>
  finish(): Promise<StoredContent>
}
