// What a tarball is, computed from its bytes on this machine: artifact digest, tree digest, entries.
// By the same code as the controller (shared/archive), so that nobody's word has to be taken for it.
// Keeps nothing; memory grows with the number of entries only.

import { createHash } from 'node:crypto'
import { readArchive } from '#shared/archive/archive-reader.ts'
import { type ArchivedRelease, readRelease } from '#shared/archive/archived-release.ts'
import { unpack } from '#shared/archive/compression.ts'
import type { ContentSink } from '#shared/archive/content-intake.ts'
import type { Requires } from '#shared/descriptor.ts'
import { sha256Hex } from '#shared/ids.ts'

/** How publishing reads a tarball: two readings of one tarball may be two trees. */
export interface TarballReading {
  /** Leading folders to leave out of every path. */
  readonly strip: number
  /** What is laid into the tree as its descriptor; null for nothing. */
  readonly requires: Requires | null
}

export interface TarballFacts extends ArchivedRelease {
  /** SHA-256 of the tarball. */
  readonly artifact: string
  readonly artifactBytes: number
}

/** @throws LockstepError `bad-archive`, `refused-entry`, `bad-descriptor`, `archive-too-large`. */
export async function readTarball(
  chunks: AsyncIterable<Buffer>,
  { strip, requires }: TarballReading,
): Promise<TarballFacts> {
  const hash = createHash('sha256')
  let artifactBytes = 0
  async function* hashed(): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      hash.update(chunk)
      artifactBytes += chunk.length
      yield chunk
    }
  }
  const events = readArchive(unpack(hashed()))
  const release = await readRelease(events, { strip, requires, content: hashesOnly })
  return { ...release, artifact: hash.digest('hex'), artifactBytes }
}

const hashesOnly: ContentSink = {
  async put(bytes) {
    return sha256Hex(bytes)
  },
  async createWriter() {
    const hash = createHash('sha256')
    let sizeBytes = 0
    return {
      async write(bytes) {
        hash.update(bytes)
        sizeBytes += bytes.length
      },
      finish: async () => ({ sha256: hash.digest('hex'), sizeBytes }),
    }
  },
}
