// Cuts the bytes of a tar archive into headers, names, contents and end, and judges what the `tar`
// parser behind it would pass over in silence: special types, pax records that it misreads, bad
// numbers, content where none belongs, a missing end, bytes after it. Reads no content.

import { checkCharacters, type EntryRule, refusedEntry } from '../entry-rules.ts'
import { LockstepError } from '../errors.ts'
import { limits } from '../limits.ts'
import { isCompressed } from './compression.ts'
import { checkGlobalPax, type PaxFacts, paxFactsOf } from './pax-records.ts'
import {
  badArchive,
  blockBytes,
  isZeroBlock,
  parseTarHeader,
  type TarHeader,
} from './tar-header.ts'

export type ArchivedType = 'file' | 'directory' | 'link' | 'hard-link'

/** What an entry says of itself, names as the archive has them. */
export interface ArchivedEntry {
  type: ArchivedType
  path: string
  /** Of links of both kinds; otherwise empty. */
  target: string
  /** At most 07777. */
  mode: number
  /** 0 for everything but files. */
  sizeBytes: number
}

/** A run of whole blocks that the parser gets in one piece. */
export type Piece =
  | { kind: 'names'; blocks: Buffer }
  | { kind: 'entry'; blocks: Buffer; entry: ArchivedEntry }
  | { kind: 'content'; blocks: Buffer; isLast: boolean }
  | { kind: 'end'; blocks: Buffer }

const typesByFlag: ReadonlyMap<string, ArchivedType> = new Map([
  ['0', 'file'],
  ['1', 'hard-link'],
  ['2', 'link'],
  ['5', 'directory'],
])

const rulesByFlag: ReadonlyMap<string, EntryRule> = new Map([
  ['3', 'device'],
  ['4', 'device'],
  ['6', 'fifo'],
  ['S', 'sparse-file'],
])

/** Headers that describe the entry after them: pax (local, global), GNU long name, long target. */
const metaFlags = new Set(['x', 'g', 'L', 'K'])

type Stage =
  | { name: 'header' }
  | { name: 'meta'; header: TarHeader; blocks: Buffer[]; leftBytes: number }
  | { name: 'content'; leftBytes: number; paddingBytes: number }
  | { name: 'zero-block'; block: Buffer }
  | { name: 'ended' }

export class ArchiveFraming {
  #stage: Stage = { name: 'header' }
  #rest: Buffer = Buffer.alloc(0)
  /** Where `#rest` begins in the unpacked archive. */
  #atByte = 0
  #pending: PaxFacts = {}
  #pendingFlags = new Set<string>()
  #headers = 0

  /** @throws LockstepError `bad-archive` when the archive is not complete. */
  finish(): void {
    if (this.#stage.name === 'ended') return
    throw badArchive(
      this.#stage.name === 'header' && this.#rest.length === 0
        ? 'The tarball lacks the two zero blocks at its end: it may be cut off'
        : 'The tarball is cut off',
      this.#atByte + this.#rest.length,
    )
  }

  /**
   * The pieces that are complete with this chunk; a chunk may be cut anywhere.
   * @throws LockstepError `bad-archive`, `refused-entry`, `archive-too-large`.
   */
  *pieces(chunk: Buffer): Generator<Piece> {
    // Only the block that straddles two chunks is copied.
    const missingBytes = this.#rest.length === 0 ? 0 : blockBytes - this.#rest.length
    if (missingBytes > 0) {
      yield* this.#cut(Buffer.concat([this.#rest, chunk.subarray(0, missingBytes)]))
    }
    if (chunk.length > missingBytes) yield* this.#cut(chunk.subarray(missingBytes))
  }

  *#cut(bytes: Buffer): Generator<Piece> {
    this.#rest = bytes
    while (this.#rest.length >= blockBytes) {
      const piece = this.#next()
      if (piece !== null) yield piece
    }
    if (this.#stage.name === 'ended') this.#take(this.#rest.length)
  }

  #next(): Piece | null {
    const stage = this.#stage
    switch (stage.name) {
      case 'header':
        return this.#header(this.#take(blockBytes))
      case 'meta':
        return this.#meta(stage)
      case 'content':
        return this.#content(stage)
      case 'zero-block':
        return this.#secondZeroBlock(stage.block)
      case 'ended':
        this.#take(this.#rest.length)
        return null
    }
  }

  #take(lengthBytes: number): Buffer {
    const taken = this.#rest.subarray(0, lengthBytes)
    if (this.#stage.name === 'ended' && !isZeroBlock(taken)) {
      throw badArchive('The tarball has bytes after its end', this.#atByte)
    }
    this.#rest = this.#rest.subarray(lengthBytes)
    this.#atByte += lengthBytes
    return taken
  }

  #header(block: Buffer): Piece | null {
    const atByte = this.#atByte - blockBytes
    if (isZeroBlock(block)) {
      this.#refusePending(atByte)
      this.#stage = { name: 'zero-block', block }
      return null
    }
    // The parser would unpack once more by itself, past every limit.
    if (atByte === 0 && isCompressed(block)) throw badArchive('The tarball is compressed twice')
    const header = parseTarHeader(block, atByte)
    this.#countHeader()
    if (metaFlags.has(header.typeflag)) {
      this.#beginMeta(header, block, atByte)
      return null
    }
    const entry = this.#entryOf(header, atByte)
    if (entry.sizeBytes > 0) {
      const paddingBytes = (blockBytes - (entry.sizeBytes % blockBytes)) % blockBytes
      this.#stage = { name: 'content', leftBytes: entry.sizeBytes + paddingBytes, paddingBytes }
    }
    return { kind: 'entry', blocks: block, entry }
  }

  #countHeader(): void {
    this.#headers += 1
    // Each entry may have three headers before it: pax, long name, long target.
    if (this.#headers <= 4 * limits.entriesMax) return
    throw new LockstepError('archive-too-large', 'The tarball has too many headers')
  }

  #beginMeta(header: TarHeader, block: Buffer, atByte: number): void {
    if (header.sizeBytes === 0 || header.sizeBytes > limits.archiveMetaBytesMax) {
      throw badArchive(`A header of type "${header.typeflag}" has a bad length`, atByte)
    }
    if (this.#pendingFlags.has(header.typeflag)) {
      throw badArchive(`Two headers of type "${header.typeflag}" precede one entry`, atByte)
    }
    if (header.typeflag !== 'g') this.#pendingFlags.add(header.typeflag)
    const leftBytes = Math.ceil(header.sizeBytes / blockBytes) * blockBytes
    this.#stage = { name: 'meta', header, blocks: [block], leftBytes }
  }

  /** Names are held until they are whole: the parser decodes each write for itself. */
  #meta(stage: Extract<Stage, { name: 'meta' }>): Piece | null {
    const blocks = this.#take(Math.min(stage.leftBytes, wholeBlocksOf(this.#rest)))
    stage.blocks.push(blocks)
    stage.leftBytes -= blocks.length
    if (stage.leftBytes > 0) return null
    this.#stage = { name: 'header' }
    const all = Buffer.concat(stage.blocks)
    const body = all.subarray(blockBytes, blockBytes + stage.header.sizeBytes)
    const atByte = this.#atByte - all.length
    checkPadding(all.subarray(blockBytes + stage.header.sizeBytes), this.#atByte)
    this.#readMeta(stage.header, body, atByte)
    return { kind: 'names', blocks: all }
  }

  #readMeta(header: TarHeader, body: Buffer, atByte: number): void {
    if (header.typeflag === 'g') {
      checkGlobalPax(body, atByte)
      return
    }
    const facts =
      header.typeflag === 'x'
        ? paxFactsOf(body, header.name, atByte)
        : { [header.typeflag === 'L' ? 'path' : 'linkPath']: longNameOf(body, atByte) }
    for (const key of Object.keys(facts)) {
      if (key in this.#pending) throw badArchive(`An entry has its ${key} twice`, atByte)
    }
    this.#pending = { ...this.#pending, ...facts }
  }

  #entryOf(header: TarHeader, atByte: number): ArchivedEntry {
    const { path = header.name, linkPath, sizeBytes = header.sizeBytes } = this.#pending
    this.#pending = {}
    this.#pendingFlags.clear()
    const flagged = typesByFlag.get(header.typeflag)
    if (flagged === undefined) {
      const note = `type "${header.typeflag}"`
      throw refusedEntry(rulesByFlag.get(header.typeflag) ?? 'unknown-type', path, note)
    }
    // Archives from before ustar mark a directory by the slash alone.
    const type = flagged === 'file' && path.endsWith('/') ? 'directory' : flagged
    if (type !== 'file' && sizeBytes > 0) throw refusedEntry('misplaced-content', path)
    const isLink = type === 'link' || type === 'hard-link'
    const target = isLink ? (linkPath ?? header.linkName) : ''
    // The parser misreads names with such characters, so they are judged before it sees them.
    checkCharacters(path, target)
    if (path === '') throw refusedEntry('empty-path', path)
    if (isLink && target === '') throw refusedEntry('empty-target', path)
    if (!isLink && (linkPath !== undefined || header.linkName !== '')) {
      throw badArchive(`${JSON.stringify(path)} has a link target but is no link`, atByte)
    }
    return { type, path, target, mode: header.mode, sizeBytes }
  }

  #content(stage: Extract<Stage, { name: 'content' }>): Piece {
    const blocks = this.#take(Math.min(stage.leftBytes, wholeBlocksOf(this.#rest)))
    stage.leftBytes -= blocks.length
    if (stage.leftBytes === 0) {
      checkPadding(blocks.subarray(blocks.length - stage.paddingBytes), this.#atByte)
      this.#stage = { name: 'header' }
    }
    return { kind: 'content', blocks, isLast: stage.leftBytes === 0 }
  }

  #secondZeroBlock(first: Buffer): Piece {
    const second = this.#take(blockBytes)
    if (!isZeroBlock(second)) {
      throw badArchive('The tarball has one zero block where an end has two', this.#atByte)
    }
    this.#stage = { name: 'ended' }
    return { kind: 'end', blocks: Buffer.concat([first, second]) }
  }

  #refusePending(atByte: number): void {
    if (this.#pendingFlags.size > 0) {
      throw badArchive('The tarball ends after a header that describes a further entry', atByte)
    }
  }
}

function wholeBlocksOf(bytes: Buffer): number {
  return bytes.length - (bytes.length % blockBytes)
}

function checkPadding(padding: Buffer, atByte: number): void {
  if (!isZeroBlock(padding)) throw badArchive('The tarball has bytes between its entries', atByte)
}

/** GNU's long names end with a NUL, and nothing may follow it. */
function longNameOf(body: Buffer, atByte: number): string {
  const end = body.indexOf(0)
  const name = end === -1 ? body : body.subarray(0, end)
  if (name.length > 0 && isZeroBlock(body.subarray(name.length))) return name.toString('utf8')
  throw badArchive('The tarball has a malformed long name', atByte)
}
