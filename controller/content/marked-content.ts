// Which content the recorded trees are made of, for a sweep. Holds 56 bits of each hash: two that
// share them keep one file too many, never one too few.

import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { LockstepError } from '#shared/errors.ts'

const filePattern = /^f\t[0-7]{4}\t[0-9]+\t([0-9a-f]{64})\t/gm

export class MarkedContent {
  /** By the first byte; of each hash the six after it. */
  readonly #sets: readonly Set<number>[] = Array.from({ length: 256 }, () => new Set())

  /**
   * Marks what the manifest names, in pieces: other work goes on in between.
   * @throws LockstepError `disk-error` when the bytes are not those of the tree.
   */
  async addTree(tree: string, manifest: Readable): Promise<void> {
    const hash = createHash('sha256')
    let rest = ''
    for await (const chunk of manifest as AsyncIterable<Buffer>) {
      hash.update(chunk)
      // Hashes are ASCII; names may be cut and misread here without harm.
      const text = rest + chunk.toString('latin1')
      const end = text.lastIndexOf('\n') + 1
      for (const [, sha256 = ''] of text.slice(0, end).matchAll(filePattern)) this.#add(sha256)
      rest = text.slice(end)
    }
    if (hash.digest('hex') === tree) return
    throw new LockstepError('disk-error', `The stored manifest of ${tree} is damaged`, {
      hint: 'Publish the same tarball again; nothing is swept as long as it is damaged.',
      details: { tree },
    })
  }

  has(sha256: string): boolean {
    return this.#setOf(sha256).has(restOf(sha256))
  }

  #add(sha256: string): void {
    this.#setOf(sha256).add(restOf(sha256))
  }

  #setOf(sha256: string): Set<number> {
    const set = this.#sets[Number.parseInt(sha256.slice(0, 2), 16)]
    if (set === undefined) throw new TypeError('a hash is hexadecimal')
    return set
  }
}

function restOf(sha256: string): number {
  return Number.parseInt(sha256.slice(2, 14), 16)
}
