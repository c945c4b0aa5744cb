// The SHA-256 of a file's content, read from the very file that was looked at. Blocks its thread.

import { createHash, hash } from 'node:crypto'
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs'

const chunkBytes = 256 * 1024

/** One read buffer for many files. */
export class FileHasher {
  readonly #buffer = Buffer.allocUnsafeSlow(chunkBytes)

  /**
   * @returns null for what is no regular file
   * @throws the system's error; ELOOP for a symbolic link
   */
  hash(path: string): { sha256: string; stats: Stats } | null {
    // Without O_NONBLOCK a named pipe in a file's place would wait for a writer for ever.
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
    const descriptor = openSync(path, flags)
    try {
      const stats = fstatSync(descriptor)
      return stats.isFile() ? { sha256: this.#hashOf(descriptor), stats } : null
    } finally {
      closeSync(descriptor)
    }
  }

  #hashOf(descriptor: number): string {
    const count = readSync(descriptor, this.#buffer)
    // Most files are small, and hashing those in one call takes a third of the time.
    if (count < chunkBytes) return hash('sha256', this.#buffer.subarray(0, count), 'hex')
    const sum = createHash('sha256')
    for (let read = count; read > 0; read = readSync(descriptor, this.#buffer)) {
      sum.update(this.#buffer.subarray(0, read))
    }
    return sum.digest('hex')
  }
}
