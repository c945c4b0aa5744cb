// The strings and numbers of the SSH protocol (RFC 4251, section 5), read to the last byte.

/** Reads in order; null instead of anything behind the end, and from then on. */
export class SshReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  bytes(count: number): Buffer | null {
    if (count > this.#bytes.length - this.#at) {
      this.#at = Number.POSITIVE_INFINITY
      return null
    }
    this.#at += count
    return this.#bytes.subarray(this.#at - count, this.#at)
  }

  uint32(): number | null {
    return this.bytes(4)?.readUInt32BE() ?? null
  }

  string(): Buffer | null {
    const count = this.uint32()
    return count === null ? null : this.bytes(count)
  }

  text(): string | null {
    return this.string()?.toString('latin1') ?? null
  }
}

/** An SSH `string`: its length, then its bytes. */
export function sshString(content: string | Uint8Array): Buffer {
  const bytes = Buffer.from(content)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}
