// A stream of chunks that can be looked into and given back to, so that a format can be recognised
// and a decoder can return what it did not need.

export class ChunkReader {
  readonly #chunks: AsyncIterator<Buffer, unknown>
  readonly #returned: Buffer[] = []

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]()
  }

  /** The next bytes, never empty; null at the end. */
  async next(): Promise<Buffer | null> {
    for (;;) {
      const chunk = this.#returned.pop() ?? (await this.#read())
      if (chunk === null || chunk.length > 0) return chunk
    }
  }

  giveBack(chunk: Buffer): void {
    this.#returned.push(chunk)
  }

  /** The next bytes without taking them: at least `lengthBytes` of them unless the stream ends. */
  async peek(lengthBytes: number): Promise<Buffer> {
    let seen = Buffer.alloc(0)
    while (seen.length < lengthBytes) {
      const chunk = await this.next()
      if (chunk === null) break
      seen = Buffer.concat([seen, chunk])
    }
    this.giveBack(seen)
    return seen
  }

  async #read(): Promise<Buffer | null> {
    const result = await this.#chunks.next()
    return result.done === true ? null : result.value
  }
}
