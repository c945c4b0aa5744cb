// Brings what a release lacks by one stream: decodes a pack, reads it against the manifest and
// writes what is wanted of it. Correct or not, a pack ends in files whose hashes were checked.

import { pipeline } from 'node:stream/promises'
import { constants, createZstdDecompress } from 'node:zlib'
import { type ContentClient, PackRestart } from '../adapters/content-client.ts'
import { FileWriter } from './file-writer.ts'
import { PackReader, type PackSink } from './pack-reader.ts'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import type { ManifestEntry, ManifestFile } from '#shared/manifest.ts'

export interface PackRequest {
  readonly tree: string
  /** The tree that the delta is against; null for the full pack. */
  readonly from: string | null
  /** What the pack must hold, in manifest order. */
  readonly expected: readonly ManifestEntry[]
  /** Where to write which files, by their path in the manifest; each is taken out when it stands. */
  readonly wanted: Map<string, string>
  /** Streams that may be begun anew because the server could not go on with one. */
  readonly restartsMax: number
  readonly onBytes: (bytes: number) => void
}

/** Output of the decoder at a time: more is a little faster, and leaves more for the collector. */
const chunkBytes = 32 * 1024

/** The decoder's memory is 2^this bytes at most; a pack that wants more is refused. */
const windowLogMax = 23

/**
 * @throws LockstepError `content-mismatch`, `no-space`, `disk-error` and those of ContentClient;
 *   what was written until then stays, and is no longer in `wanted`.
 */
export async function fetchPack(client: ContentClient, request: PackRequest): Promise<void> {
  for (let restarts = 0; ; restarts += 1) {
    try {
      await readPack(client, request)
      return
    } catch (error) {
      if (!(error instanceof PackRestart)) throw error
      if (restarts >= request.restartsMax) {
        throw new LockstepError(
          'fetch-failed',
          `The pack changes while it is read: ${error.message}`,
          {
            hint: 'The agent tries again later; see what stands between host and controller.',
            cause: error,
          },
        )
      }
    }
  }
}

async function readPack(client: ContentClient, request: PackRequest): Promise<void> {
  const files = new WantedFiles(request)
  const reader = new PackReader(request.expected, files)
  const decoder = createZstdDecompress({
    chunkSize: chunkBytes,
    params: { [constants.ZSTD_d_windowLogMax]: windowLogMax },
  })
  try {
    await pipeline(client.pack(request.tree, request.from), decoder, async (decoded) => {
      for await (const chunk of decoded as AsyncIterable<Buffer>) reader.push(chunk)
    })
    reader.finish()
  } catch (error) {
    files.abandon()
    if (!isDecoderError(error)) throw error
    throw new LockstepError('content-mismatch', 'The pack is no zstd stream, or a damaged one', {
      hint: 'The agent tries again; if it lasts, see what stands between host and controller.',
      cause: error,
    })
  }
}

/** zlib's own codes: `ZSTD_error_…`, and `Z_BUF_ERROR` for a frame that ends too early. */
function isDecoderError(error: unknown): boolean {
  return /^(?:ZSTD_error_|Z_)/.test(systemCodeOf(error) ?? '')
}

/** Writes the wanted files of a pack and passes over the others. */
class WantedFiles implements PackSink {
  readonly #request: PackRequest
  #entry: ManifestFile | null = null
  #writer: FileWriter | null = null

  constructor(request: PackRequest) {
    this.#request = request
  }

  begin(entry: ManifestFile): void {
    const path = this.#request.wanted.get(entry.path)
    this.#entry = entry
    this.#writer = path === undefined ? null : new FileWriter(path, entry)
  }

  data(chunk: Uint8Array): void {
    this.#writer?.write(chunk)
    if (this.#writer !== null) this.#request.onBytes(chunk.length)
  }

  end(): void {
    if (this.#entry === null || this.#writer === null) return
    this.#writer.finish()
    this.#request.wanted.delete(this.#entry.path)
    this.#writer = null
  }

  abandon(): void {
    this.#writer?.abandon()
    this.#writer = null
  }
}
