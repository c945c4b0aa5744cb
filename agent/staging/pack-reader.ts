// Reads the canonical tar of a pack against the entries that it must hold. Each header is compared
// byte by byte with the one that the manifest asks for, so nothing in the stream can name a path,
// and one byte more or less is an error. Synchronous: back pressure is the caller's not pushing.

import { LockstepError } from '#shared/errors.ts'
import { tarEndBytes, tarHeaderOf, tarPaddingBytes } from '#shared/canonical-tar.ts'
import type { ManifestEntry, ManifestFile } from '#shared/manifest.ts'

/** What takes the content: for each file `begin`, `data` until it has its size, `end`. */
export interface PackSink {
  begin(entry: ManifestFile): void
  data(chunk: Uint8Array): void
  end(): void
}

type Part = 'header' | 'content' | 'zeros' | 'end' | 'done'

export class PackReader {
  readonly #entries: Iterator<ManifestEntry>
  readonly #sink: PackSink
  #part: Part = 'header'
  /** The entry whose bytes are awaited; null behind the last. */
  #entry: ManifestEntry | null = null
  #header: Uint8Array = new Uint8Array(0)
  /** Bytes of the part that are read. */
  #read = 0
  #partBytes = 0

  /** @param entries those that the pack must hold, in manifest order */
  constructor(entries: Iterable<ManifestEntry>, sink: PackSink) {
    this.#entries = entries[Symbol.iterator]()
    this.#sink = sink
    this.#startNext()
  }

  /** @throws LockstepError `content-mismatch`, and whatever the sink throws. */
  push(chunk: Uint8Array): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#part === 'done') throw this.#mismatch('goes on after its end')
      const count = Math.min(chunk.length - at, this.#partBytes - this.#read)
      this.#take(chunk.subarray(at, at + count))
      at += count
      this.#read += count
      if (this.#read === this.#partBytes) this.#endPart()
    }
  }

  /** Says that there is no more. @throws LockstepError `content-mismatch` when it is too little. */
  finish(): void {
    if (this.#part !== 'done') throw this.#mismatch('ends too early')
  }

  #take(bytes: Uint8Array): void {
    if (this.#part === 'content') {
      this.#sink.data(bytes)
      return
    }
    if (this.#part === 'header') {
      const expected = this.#header.subarray(this.#read, this.#read + bytes.length)
      if (Buffer.compare(bytes, expected) === 0) return
      throw this.#mismatch('has another header than the manifest asks for')
    }
    if (bytes.some((byte) => byte !== 0)) throw this.#mismatch('has bytes where none belong')
  }

  #endPart(): void {
    const entry = this.#entry
    if (this.#part === 'header' && entry?.type === 'file') {
      this.#sink.begin(entry)
      this.#enter('content', entry.sizeBytes)
    } else if (this.#part === 'content' && entry?.type === 'file') {
      this.#sink.end()
      this.#enter('zeros', tarPaddingBytes(entry.sizeBytes))
    } else if (this.#part === 'end') {
      this.#enter('done', Number.POSITIVE_INFINITY)
    } else {
      this.#startNext()
    }
  }

  /** A part without bytes ends at once. */
  #enter(part: Part, partBytes: number): void {
    this.#part = part
    this.#read = 0
    this.#partBytes = partBytes
    if (partBytes === 0) this.#endPart()
  }

  #startNext(): void {
    const next = this.#entries.next()
    if (next.done === true) {
      this.#entry = null
      this.#enter('end', tarEndBytes)
      return
    }
    this.#entry = next.value
    this.#header = tarHeaderOf(next.value)
    this.#enter('header', this.#header.length)
  }

  #mismatch(what: string): LockstepError {
    const at = this.#entry === null ? 'behind its last entry' : `at ${this.#entry.path}`
    return new LockstepError('content-mismatch', `The pack ${what}, ${at}`, {
      hint: 'The agent tries again; if it lasts, a proxy or the controller’s disk alters content.',
      details: { entry: this.#entry?.path ?? null },
    })
  }
}
