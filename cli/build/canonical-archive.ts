// Writes the entries of a directory as a pack: the canonical tar of all of them, compressed with zstd, the
// very bytes that the controller makes of the same release. Memory does not grow with the release.

import { createHash } from 'node:crypto'
import { createReadStream, readFileSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { constants, createZstdCompress } from 'node:zlib'
import {
  canonicalTarBytes,
  tarEndBytes,
  tarHeaderOf,
  tarPaddingBytes,
} from '#shared/canonical-tar.ts'
import { shownName } from '#shared/entry-rules.ts'
import { LockstepError } from '#shared/errors.ts'
import { sha256Hex } from '#shared/ids.ts'
import { limits } from '#shared/limits.ts'
import type { ManifestEntry, ManifestFile } from '#shared/manifest.ts'
import { evenPieces, packFormat } from '#shared/pack-format.ts'

export interface WrittenArchive {
  readonly sha256: string
  readonly sizeBytes: number
}

/**
 * @param entries in manifest order, as read from `directory`
 * @throws LockstepError `build-failed` when a file is no longer what was read, `too-large`,
 *   `archive-too-large`; the signal's reason
 */
export async function writeArchive(
  file: FileHandle,
  directory: string,
  entries: readonly ManifestEntry[],
  signal: AbortSignal,
): Promise<WrittenArchive> {
  const hash = createHash('sha256')
  const tarBytes = canonicalTarBytes(entries)
  let sizeBytes = 0
  const compressor = createZstdCompress({
    chunkSize: packFormat.pieceBytes,
    pledgedSrcSize: tarBytes,
    params: {
      [constants.ZSTD_c_compressionLevel]: packFormat.compressionLevel,
      [constants.ZSTD_c_checksumFlag]: packFormat.checksumFlag,
    },
  })
  await pipeline(
    evenPieces(pieces(directory, entries)),
    compressor,
    async (compressed: AsyncIterable<Buffer>) => {
      for await (const chunk of compressed) {
        hash.update(chunk)
        sizeBytes += chunk.length
        checkSize(sizeBytes)
        await file.writeFile(chunk)
      }
    },
    { signal },
  )
  checkRatio(tarBytes, sizeBytes)
  return { sha256: hash.digest('hex'), sizeBytes }
}

async function* pieces(
  directory: string,
  entries: readonly ManifestEntry[],
): AsyncGenerator<Uint8Array> {
  for (const entry of entries) {
    yield tarHeaderOf(entry)
    if (entry.type !== 'file' || entry.sizeBytes === 0) continue
    const place = join(directory, entry.path)
    if (entry.sizeBytes <= limits.contentInMemoryBytesMax) {
      const bytes = readFileSync(place)
      if (bytes.length !== entry.sizeBytes || sha256Hex(bytes) !== entry.sha256)
        throw changed(entry)
      yield bytes
    } else {
      yield* largeContent(place, entry)
    }
    yield new Uint8Array(tarPaddingBytes(entry.sizeBytes))
  }
  yield new Uint8Array(tarEndBytes)
}

async function* largeContent(place: string, file: ManifestFile): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  const highWaterMark = limits.contentReadBytes
  for await (const chunk of createReadStream(place, { highWaterMark }) as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length
    hash.update(chunk)
    if (sizeBytes > file.sizeBytes) break
    yield chunk
  }
  if (sizeBytes !== file.sizeBytes || hash.digest('hex') !== file.sha256) throw changed(file)
}

function changed(file: ManifestFile): LockstepError {
  return new LockstepError('build-failed', `${shownName(file.path)} changed while it was packed`, {
    hint: 'A program that a command left running may still write: let the command wait for it.',
  })
}

function checkSize(sizeBytes: number): void {
  if (sizeBytes <= limits.artifactBytesMax) return
  throw new LockstepError(
    'too-large',
    `The tarball takes more than ${limits.artifactBytesMax} bytes, and could not be published`,
    { hint: 'Leave out what the servers do not need (--exclude GLOB), or split the app.' },
  )
}

/** Publishing takes such a tarball for a bomb. */
function checkRatio(tarBytes: number, sizeBytes: number): void {
  if (tarBytes <= limits.unpackRatioFromBytes) return
  if (tarBytes / sizeBytes <= limits.unpackRatioMax) return
  throw new LockstepError(
    'archive-too-large',
    `The tarball would unpack to more than ${limits.unpackRatioMax} times its size`,
    { hint: 'Leave out large files of nothing but zeros: --exclude GLOB.' },
  )
}
