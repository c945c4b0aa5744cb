// Brings the entries of an archive into a content sink and a release tree: every file by the hash
// of its bytes, small ones in one write, large ones in pieces, so that memory stays the same.

import assert from 'node:assert/strict'
import { limits } from '../limits.ts'
import type { ArchiveEvent } from './archive-reader.ts'
import type { DescriptorIntake } from './descriptor-intake.ts'
import type { ExpectedFile, ReleaseTree } from './release-tree.ts'

/** Where the content of files goes: a store, or nowhere when only the hashes are asked for. */
export interface ContentSink {
  /** @returns the SHA-256 of the bytes */
  put(bytes: Uint8Array): Promise<string>
  createWriter(): Promise<ContentPieces>
}

/** One file in pieces, in order. */
export interface ContentPieces {
  write(bytes: Uint8Array): Promise<void>
  finish(): Promise<{ sha256: string; sizeBytes: number }>
}

export class ContentIntake {
  readonly #sink: ContentSink
  readonly #tree: ReleaseTree
  readonly #descriptor: DescriptorIntake
  #file: ExpectedFile | null = null
  /** Of a small file. */
  #pieces: Buffer[] = []
  /** Of a large file. */
  #writer: ContentPieces | null = null

  constructor(sink: ContentSink, tree: ReleaseTree, descriptor: DescriptorIntake) {
    this.#sink = sink
    this.#tree = tree
    this.#descriptor = descriptor
  }

  /**
   * @throws LockstepError `refused-entry`, `bad-descriptor`, `archive-too-large`, `disk-error`,
   *   `no-space`.
   */
  async take(event: ArchiveEvent): Promise<void> {
    switch (event.kind) {
      case 'entry':
        return await this.#begin(this.#tree.add(event.entry))
      case 'content':
        return await this.#write(event.bytes)
      case 'content-end':
        return await this.#end()
    }
  }

  async #begin(file: ExpectedFile | null): Promise<void> {
    assert(this.#file === null, 'an entry begins after the content of the one before')
    this.#file = file
    if (file === null) return
    this.#descriptor.expect(file)
    if (file.sizeBytes > limits.contentInMemoryBytesMax) {
      this.#writer = await this.#sink.createWriter()
    } else if (file.sizeBytes === 0) {
      await this.#end()
    }
  }

  async #write(bytes: Buffer): Promise<void> {
    if (this.#writer === null) this.#pieces.push(bytes)
    else await this.#writer.write(bytes)
  }

  async #end(): Promise<void> {
    const file = this.#file
    assert(file !== null, 'content belongs to a file')
    this.#tree.addFile(file, await this.#stored(file))
    this.#file = null
    this.#pieces = []
    this.#writer = null
  }

  async #stored(file: ExpectedFile): Promise<string> {
    const expectedBytes = file.sizeBytes
    if (this.#writer !== null) {
      const { sha256, sizeBytes } = await this.#writer.finish()
      assert.equal(sizeBytes, expectedBytes, 'a file has as many bytes as its header says')
      return sha256
    }
    const [only] = this.#pieces
    const isOne = only !== undefined && this.#pieces.length === 1
    const bytes = isOne ? only : Buffer.concat(this.#pieces)
    assert.equal(bytes.length, expectedBytes, 'a file has as many bytes as its header says')
    this.#descriptor.take(file, bytes)
    return await this.#sink.put(bytes)
  }
}
