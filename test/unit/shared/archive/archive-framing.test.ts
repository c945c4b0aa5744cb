// Cutting an archive into pieces: the same whatever chunks its bytes arrive in. What is refused is
// in test/integration/publishing-hostile.test.ts.

import t from 'tap'
import { ArchiveFraming, type Piece } from '#shared/archive/archive-framing.ts'
import {
  archive,
  directory,
  file,
  gnuLong,
  hardLink,
  link,
  pax,
} from '../../../support/archives.ts'

const tarball = archive(
  directory('d/'),
  pax({ path: `d/${'é'.repeat(90)}`, comment: 'c'.repeat(900) }),
  file('short', 'a'.repeat(1300)),
  gnuLong('L', `d/${'l'.repeat(120)}`),
  file('short', 'b'.repeat(512), { magic: 'ustar  \0' }),
  link('l', 'd'),
  hardLink('h', 'l'),
  file('empty', ''),
)

/** What the pieces say, whatever their number. */
function readingOf(chunkBytes: number): { entries: unknown[]; bytes: Buffer; kinds: Set<string> } {
  const framing = new ArchiveFraming()
  const pieces: Piece[] = []
  for (let at = 0; at < tarball.length; at += chunkBytes) {
    pieces.push(...framing.pieces(tarball.subarray(at, at + chunkBytes)))
  }
  framing.finish()
  return {
    entries: pieces.flatMap((piece) => (piece.kind === 'entry' ? [piece.entry] : [])),
    bytes: Buffer.concat(pieces.map((piece) => piece.blocks)),
    kinds: new Set(pieces.map((piece) => piece.kind)),
  }
}

void t.test('an archive reads the same however its bytes arrive', async (t) => {
  const whole = readingOf(tarball.length)
  t.equal(whole.entries.length, 6)
  t.match(whole.entries, [
    { type: 'directory', path: 'd/', mode: 0o755, sizeBytes: 0, target: '' },
    { type: 'file', path: `d/${'é'.repeat(90)}`, sizeBytes: 1300 },
    { type: 'file', path: `d/${'l'.repeat(120)}`, sizeBytes: 512 },
    { type: 'link', path: 'l', target: 'd' },
    { type: 'hard-link', path: 'h', target: 'l' },
    { type: 'file', path: 'empty', sizeBytes: 0 },
  ])
  for (const chunkBytes of [1, 7, 511, 512, 513, 1024, 4096]) {
    t.same(readingOf(chunkBytes).entries, whole.entries, `in chunks of ${chunkBytes}`)
  }
})

void t.test('every byte is passed on once, in whole blocks', async (t) => {
  for (const chunkBytes of [1, 700, tarball.length]) {
    const { bytes, kinds } = readingOf(chunkBytes)
    t.ok(bytes.equals(tarball))
    t.same([...kinds].toSorted(), ['content', 'end', 'entry', 'names'])
  }
})

void t.test(
  'names come in one piece, since the parser decodes each piece for itself',
  async (t) => {
    const framing = new ArchiveFraming()
    const kinds = Array.from({ length: tarball.length / 100 }, (_, index) => [
      ...framing.pieces(tarball.subarray(index * 100, (index + 1) * 100)),
    ]).flat()
    const names = kinds.filter((piece) => piece.kind === 'names')
    t.same(
      names.map((piece) => piece.blocks.length),
      [512 + 1536, 512 + 512],
    )
  },
)
