// What a route needs to answer with stored bytes: their length, their ETag, and any range of them.

import type { Readable } from 'node:stream'
import type { ByteRange } from './ports.ts'

export interface OpenedContent {
  readonly sizeBytes: number
  /** A strong validator with its quotes, RFC 9110, 8.8.3: it names the very bytes. */
  readonly etag: string
  /**
   * May be called several times, or never.
   * @param range both ends inclusive, as in HTTP; without it everything
   * @throws LockstepError `disk-error`, before the first byte.
   */
  read(range?: ByteRange): Promise<Readable>
  /** To be called once when nothing more is read: until then it is not evicted. */
  close(): void
}

export function etagOf(sha256: string): string {
  return `"${sha256}"`
}
