// Unpacks a tarball's compression: plain tar, gzip or zstd, told apart by their first bytes.
// gzip members and zstd frames may follow one another, as gzip(1) and zstd(1) accept them; after
// the last nothing may follow, but zeros after gzip. Bounds what a bomb may unpack to.

import {
  constants,
  createGunzip,
  createZstdDecompress,
  type Gunzip,
  type ZstdDecompress,
} from 'node:zlib'
import { LockstepError, systemCodeOf } from '../errors.ts'
import { limits } from '../limits.ts'
import { ChunkReader } from './chunk-reader.ts'
import { badArchive } from './tar-header.ts'

type Format = 'tar' | 'gzip' | 'zstd'
type Decoder = Gunzip | ZstdDecompress

/** Output arrives in pieces of this many bytes: fewer calls than with Node's 16 KiB. */
const decodedChunkBytes = 128 * 1024
/** 128 MiB, what zstd(1) itself accepts without `--long`: the most memory a decoder may take. */
const windowLogMax = 27

const refusedFormats: readonly (readonly [name: string, magic: Buffer])[] = [
  ['bzip2', Buffer.from('BZh')],
  ['xz', Buffer.from('fd377a585a00', 'hex')],
  ['lz4', Buffer.from('04224d18', 'hex')],
  ['compress', Buffer.from('1f9d', 'hex')],
  ['zip', Buffer.from('PK\u0003\u0004', 'latin1')],
]

/**
 * The bytes of the tar archive in `packed`.
 * @throws LockstepError `bad-archive` when the format is unknown or the data corrupt or cut off,
 *   `archive-too-large` when it unpacks to more than is allowed.
 */
export async function* unpack(packed: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const meter = { packedBytes: 0 }
  const reader = new ChunkReader(metered(packed, meter))
  const format = formatOf(await reader.peek(6))
  let unpackedBytes = 0
  for await (const chunk of format === 'tar' ? chunksOf(reader) : decoded(reader, format)) {
    unpackedBytes += chunk.length
    checkGrowth(meter.packedBytes, unpackedBytes)
    yield chunk
  }
}

async function* metered(
  packed: AsyncIterable<Buffer>,
  meter: { packedBytes: number },
): AsyncGenerator<Buffer> {
  for await (const chunk of packed) {
    meter.packedBytes += chunk.length
    yield chunk
  }
}

function formatOf(start: Buffer): Format {
  if (start.length === 0) throw badArchive('The tarball is empty')
  if (start[0] === 0x1f && start[1] === 0x8b) return 'gzip'
  if (startsZstdFrame(start)) return 'zstd'
  const refused = refusedFormats.find(([, magic]) => start.subarray(0, magic.length).equals(magic))
  if (refused === undefined) return 'tar'
  throw new LockstepError('bad-archive', `The tarball is in the format ${refused[0]}`, {
    hint: 'Use a plain tar, or one compressed with gzip or zstd.',
  })
}

/** Whether these bytes begin gzip or zstd data, whatever else they may be. */
export function isCompressed(start: Buffer): boolean {
  return (start[0] === 0x1f && start[1] === 0x8b) || startsZstdFrame(start)
}

/** A zstd frame or a skippable frame, RFC 8878, 3.1. */
function startsZstdFrame(start: Buffer): boolean {
  if (start.length < 4) return false
  const magic = start.readUInt32LE(0)
  return magic === 0xfd2fb528 || (magic & 0xfffffff0) >>> 0 === 0x184d2a50
}

async function* chunksOf(reader: ChunkReader): AsyncGenerator<Buffer> {
  for (let chunk = await reader.next(); chunk !== null; chunk = await reader.next()) yield chunk
}

/**
 * One decoder after another. Node's gunzip goes on to the next member by itself, its zstd decoder
 * does not when a frame ends inside a chunk (https://github.com/nodejs/node/issues/64741), and
 * would silently drop the rest.
 */
async function* decoded(reader: ChunkReader, format: 'gzip' | 'zstd'): AsyncGenerator<Buffer> {
  for (let members = 1; members <= limits.compressedMembersMax; members += 1) {
    yield* decodedMember(reader, format === 'gzip' ? gunzip() : zstdDecoder())
    const following = await reader.peek(4)
    if (following.length === 0) return
    if (format === 'gzip') return await skipZeros(reader)
    if (!startsZstdFrame(following)) throw badArchive('Bytes follow after the compressed data')
  }
  throw new LockstepError('archive-too-large', 'The tarball has too many compressed members')
}

function gunzip(): Decoder {
  return createGunzip({ chunkSize: decodedChunkBytes })
}

function zstdDecoder(): Decoder {
  return createZstdDecompress({
    chunkSize: decodedChunkBytes,
    params: { [constants.ZSTD_d_windowLogMax]: windowLogMax },
  })
}

async function* decodedMember(reader: ChunkReader, decoder: Decoder): AsyncGenerator<Buffer> {
  const feeding = feed(reader, decoder)
  try {
    for await (const chunk of decoder) yield asBuffer(chunk)
    await feeding
  } catch (error) {
    throw asArchiveError(error)
  } finally {
    decoder.destroy()
  }
}

/** Never rejects: what goes wrong reaches whoever reads the decoder, through the decoder. */
async function feed(reader: ChunkReader, decoder: Decoder): Promise<void> {
  try {
    let givenBytes = 0
    for (let chunk = await reader.next(); chunk !== null; chunk = await reader.next()) {
      givenBytes += chunk.length
      await written(decoder, chunk)
      const leftBytes = givenBytes - decoder.bytesWritten
      if (leftBytes > 0) {
        reader.giveBack(chunk.subarray(chunk.length - leftBytes))
        return
      }
    }
    decoder.end()
  } catch (error) {
    decoder.destroy(error instanceof Error ? error : new Error(String(error)))
  }
}

/** Done when the decoder has taken what it wants of the chunk, or takes nothing any more. */
function written(decoder: Decoder, chunk: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      decoder.off('end', done)
      decoder.off('close', done)
      resolve()
    }
    decoder.once('end', done)
    decoder.once('close', done)
    decoder.write(chunk, done)
  })
}

async function skipZeros(reader: ChunkReader): Promise<void> {
  for await (const chunk of chunksOf(reader)) {
    if (chunk.some((byte) => byte !== 0)) {
      throw badArchive('Bytes follow after the compressed data')
    }
  }
}

function asBuffer(chunk: unknown): Buffer {
  if (Buffer.isBuffer(chunk)) return chunk
  throw new TypeError('a decoder gave something other than bytes')
}

function asArchiveError(error: unknown): unknown {
  const code = systemCodeOf(error) ?? ''
  if (code === 'Z_BUF_ERROR') return badArchive('The compressed data is cut off', undefined, error)
  if (code === 'ZSTD_error_frameParameter_windowTooLarge') {
    return new LockstepError('bad-archive', 'The tarball needs a zstd window over 128 MiB', {
      hint: 'Compress it without `--long` above 27.',
      cause: error,
    })
  }
  if (code === 'Z_DATA_ERROR' || code === 'Z_NEED_DICT' || code.startsWith('ZSTD_error_')) {
    return badArchive('The compressed data is corrupt', undefined, error)
  }
  return error
}

function checkGrowth(packedBytes: number, unpackedBytes: number): void {
  if (unpackedBytes > limits.treeBytesMax) {
    throw tooLarge(`unpacks to more than ${limits.treeBytesMax} bytes`)
  }
  const ratio = unpackedBytes / packedBytes
  if (unpackedBytes > limits.unpackRatioFromBytes && ratio > limits.unpackRatioMax) {
    throw tooLarge(`unpacks to more than ${limits.unpackRatioMax} times its size`)
  }
}

function tooLarge(what: string): LockstepError {
  return new LockstepError('archive-too-large', `The tarball ${what}`, {
    hint: 'Leave out what the servers do not need, or split the app.',
  })
}
