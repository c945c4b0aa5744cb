// Reads an unpacked tar archive with the `tar` parser in strict mode, extracting nothing. Every
// piece goes through archive-framing.ts first, and both must understand it alike: an archive of
// which two readers could make two different trees is refused.

import { isDeepStrictEqual } from 'node:util'
import { Parser, type ReadEntry } from 'tar'
import { shownName } from '../entry-rules.ts'
import { limits } from '../limits.ts'
import { ArchiveFraming, type ArchivedEntry, type ArchivedType } from './archive-framing.ts'
import { badArchive } from './tar-header.ts'

/** What an archive holds, in its own order; the content of a file follows its entry at once. */
export type ArchiveEvent =
  | { kind: 'entry'; entry: ArchivedEntry }
  | { kind: 'content'; bytes: Buffer }
  | { kind: 'content-end' }

const typesOfParser: ReadonlyMap<string, ArchivedType> = new Map([
  ['File', 'file'],
  ['Directory', 'directory'],
  ['SymbolicLink', 'link'],
  ['Link', 'hard-link'],
])

/** @throws LockstepError `bad-archive`, `refused-entry`, `archive-too-large`. */
export async function* readArchive(unpacked: AsyncIterable<Buffer>): AsyncGenerator<ArchiveEvent> {
  const framing = new ArchiveFraming()
  const parser = new StrictParser()
  let entries = 0
  for await (const chunk of unpacked) {
    for (const piece of framing.pieces(chunk)) {
      const parsed = parser.write(piece.blocks)
      if (piece.kind === 'entry') {
        parsed.expectEntry(piece.entry)
        entries += 1
        yield { kind: 'entry', entry: piece.entry }
      } else if (piece.kind === 'content') {
        parsed.expectContent(piece.isLast)
        for (const bytes of parsed.contents) yield { kind: 'content', bytes }
        if (piece.isLast) yield { kind: 'content-end' }
      } else {
        parsed.expectNothing()
      }
    }
  }
  framing.finish()
  if (entries === 0) throw badArchive('The tarball has no entries')
  parser.end()
}

/**
 * The parser works synchronously as long as it gets unpacked bytes and its entries flow, so what it
 * emits within one write is all that it makes of those bytes. That is checked after each write, and
 * is why it cannot stop halfway unnoticed.
 */
class StrictParser {
  readonly #parser: Parser
  #parsed = new Parsed(0)

  constructor() {
    this.#parser = new Parser({
      strict: true,
      maxMetaEntrySize: limits.archiveMetaBytesMax,
      onReadEntry: (entry) => this.#receive(entry),
    })
    this.#parser.on('error', (error: Error) => this.#parsed.failed(error))
    this.#parser.on('ignoredEntry', (entry: ReadEntry) => this.#parsed.ignored(entry))
  }

  /** What the parser made of these blocks. */
  write(blocks: Buffer): Parsed {
    this.#parsed = new Parsed(this.#parsed.openEntries)
    this.#parser.write(blocks)
    this.#parsed.throwFailure()
    return this.#parsed
  }

  end(): void {
    this.#parsed = new Parsed(this.#parsed.openEntries)
    this.#parser.end()
    this.#parsed.throwFailure()
    this.#parsed.expectNothing()
  }

  #receive(entry: ReadEntry): void {
    this.#parsed.entries.push(entry)
    this.#parsed.openEntries += 1
    entry.on('end', () => {
      this.#parsed.openEntries -= 1
    })
    entry.on('data', (bytes) => this.#parsed.contents.push(bytes))
  }
}

/** What the parser emitted within one write. */
class Parsed {
  readonly entries: ReadEntry[] = []
  readonly contents: Buffer[] = []
  /** Entries begun and not ended: 0 or 1. */
  openEntries: number
  #failure: Error | null = null

  constructor(openEntries: number) {
    this.openEntries = openEntries
  }

  failed(error: Error): void {
    this.#failure ??= badArchive(`The tarball is malformed: ${error.message}`, undefined, error)
  }

  ignored(entry: ReadEntry): void {
    this.#failure ??= disagreement(entry.path)
  }

  throwFailure(): void {
    if (this.#failure !== null) throw this.#failure
  }

  expectNothing(): void {
    const [entry] = this.entries
    if (entry !== undefined || this.openEntries !== 0) throw disagreement(entry?.path ?? '')
  }

  expectContent(isLast: boolean): void {
    if (this.openEntries !== (isLast ? 0 : 1)) throw disagreement(this.entries[0]?.path ?? '')
  }

  expectEntry(expected: ArchivedEntry): void {
    const [entry] = this.entries
    const understood: Partial<ArchivedEntry> = {
      type: typesOfParser.get(entry?.type ?? '') ?? 'file',
      path: entry?.path ?? '',
      target: entry?.linkpath ?? '',
      mode: entry?.mode ?? 0,
      sizeBytes: entry?.size ?? 0,
    }
    const openEntries = expected.sizeBytes > 0 ? 1 : 0
    const isAlike = isDeepStrictEqual(understood, expected) && this.openEntries === openEntries
    if (this.entries.length !== 1 || !isAlike) throw disagreement(expected.path)
  }
}

function disagreement(path: string): Error {
  return badArchive(`${shownName(path)} can be understood in two ways: its headers are ambiguous`)
}
