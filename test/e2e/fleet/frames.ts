// Cuts one direction of the agents' channel into its HTTP head and its WebSocket frames (RFC 6455,
// 5.2), without changing a byte.

export interface Piece {
  /** As it came. */
  readonly raw: Buffer
  /** The message of a text frame; null for the head and for every other frame. */
  readonly text: string | null
}

const headEnd = '\r\n\r\n'
const textOpcode = 1

export class FrameReader {
  #rest = Buffer.alloc(0)
  #isBehindHead = false
  #isPlain = false

  /** What is whole by now, in order. */
  push(chunk: Buffer): Piece[] {
    this.#rest = Buffer.concat([this.#rest, chunk])
    const pieces: Piece[] = []
    for (let piece = this.#next(); piece !== null; piece = this.#next()) pieces.push(piece)
    return pieces
  }

  #next(): Piece | null {
    if (this.#isPlain) return this.#rest.length === 0 ? null : this.#plain()
    if (this.#isBehindHead) return this.#frame()
    const end = this.#rest.indexOf(headEnd)
    if (end < 0) return null
    const raw = this.#take(end + headEnd.length)
    // A refused upgrade is answered as any request is.
    this.#isPlain = raw.toString('latin1').startsWith('HTTP/') && !raw.includes('HTTP/1.1 101')
    this.#isBehindHead = true
    return { raw, text: null }
  }

  #plain(): Piece {
    return { raw: this.#take(this.#rest.length), text: null }
  }

  #frame(): Piece | null {
    const rest = this.#rest
    if (rest.length < 2) return null
    const second = rest.readUInt8(1)
    const isMasked = (second & 0x80) !== 0
    const short = second & 0x7f
    const lengthBytes = short === 127 ? 8 : short === 126 ? 2 : 0
    const maskAt = 2 + lengthBytes
    const start = maskAt + (isMasked ? 4 : 0)
    if (rest.length < start) return null
    const size =
      lengthBytes === 0
        ? short
        : lengthBytes === 2
          ? rest.readUInt16BE(2)
          : Number(rest.readBigUInt64BE(2))
    if (rest.length < start + size) return null
    const opcode = rest.readUInt8(0) & 0x0f
    const mask = isMasked ? rest.subarray(maskAt, start) : null
    const raw = this.#take(start + size)
    return { raw, text: opcode === textOpcode ? textOf(raw.subarray(start), mask) : null }
  }

  #take(sizeBytes: number): Buffer {
    const taken = this.#rest.subarray(0, sizeBytes)
    this.#rest = this.#rest.subarray(sizeBytes)
    return taken
  }
}

function textOf(payload: Buffer, mask: Buffer | null): string {
  if (mask === null) return payload.toString('utf8')
  return Buffer.from(payload.map((byte, at) => byte ^ (mask[at % 4] ?? 0))).toString('utf8')
}
