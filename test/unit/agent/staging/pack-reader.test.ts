// The pack reader: however a stream is cut into pieces the files come out the same, and one byte
// that differs from what the manifest asks for is an error.

import fc from 'fast-check'
import t from 'tap'
import { type PackSink, PackReader } from '#agent/staging/pack-reader.ts'
import { tarEndBytes, tarHeaderOf, tarPaddingBytes } from '#shared/canonical-tar.ts'
import { sha256Hex } from '#shared/ids.ts'
import type { ManifestEntry, ManifestFile } from '#shared/manifest.ts'

const contents = ['', 'a', 'b'.repeat(511), 'c'.repeat(512), 'd'.repeat(1300)]
const files = contents.map((content, index): ManifestFile => {
  const path = index === 4 ? `d/${'long'.repeat(30)}` : `d/${index}`
  return { type: 'file', path, mode: 0o644, sizeBytes: content.length, sha256: sha256Hex(content) }
})
const entries: ManifestEntry[] = [
  { type: 'directory', path: 'd', mode: 0o755 },
  ...files,
  { type: 'link', path: 'l', target: 'd/1' },
]
const tar = Buffer.concat([
  ...entries.flatMap((entry) => {
    if (entry.type !== 'file') return [Buffer.from(tarHeaderOf(entry))]
    const content = contents[files.indexOf(entry)] ?? ''
    const padding = Buffer.alloc(tarPaddingBytes(entry.sizeBytes))
    return [Buffer.from(tarHeaderOf(entry)), Buffer.from(content), padding]
  }),
  Buffer.alloc(tarEndBytes),
])

class Collected implements PackSink {
  readonly files: [path: string, content: string][] = []
  #open = ''
  #content = ''

  begin(entry: ManifestFile): void {
    this.#open = entry.path
    this.#content = ''
  }

  data(chunk: Uint8Array): void {
    this.#content += Buffer.from(chunk).toString()
  }

  end(): void {
    this.files.push([this.#open, this.#content])
  }
}

function read(stream: Buffer, chunkLengths: readonly number[]): Collected {
  const sink = new Collected()
  const reader = new PackReader(entries, sink)
  let at = 0
  for (const length of chunkLengths) {
    reader.push(stream.subarray(at, at + length))
    at += length
  }
  reader.push(stream.subarray(at))
  reader.finish()
  return sink
}

const expected = files.map((file, index) => [file.path, contents[index]])

void t.test('the files come out however the stream is cut', async (t) => {
  t.same(read(tar, []).files, expected)
  t.same(
    read(
      tar,
      Array.from({ length: tar.length }, () => 1),
    ).files,
    expected,
    'byte by byte',
  )
  const cuts = fc.array(fc.integer({ min: 0, max: 1500 }), { maxLength: 40 })
  fc.assert(
    fc.property(cuts, (lengths) => {
      t.strictSame(read(tar, lengths).files, expected)
    }),
    { numRuns: 200 },
  )
})

void t.test(
  'any changed byte outside of content is refused, and content is the sink’s',
  async (t) => {
    let refused = 0
    for (let at = 0; at < tar.length; at += 1) {
      const changed = Buffer.from(tar)
      changed[at] = (changed[at] ?? 0) ^ 0x20
      try {
        const { files: found } = read(changed, [])
        if (JSON.stringify(found) === JSON.stringify(expected)) t.fail(`byte ${at} went unseen`)
      } catch (error) {
        t.match(error, { code: 'content-mismatch' })
        refused += 1
      }
    }
    const contentBytes = contents.join('').length
    t.equal(refused, tar.length - contentBytes)
  },
)

void t.test('one byte less or more is refused', async (t) => {
  for (const length of [0, 1, 511, 512, tar.length - 1024, tar.length - 1]) {
    t.throws(() => read(tar.subarray(0, length), []), { code: 'content-mismatch' }, String(length))
  }
  t.throws(() => read(Buffer.concat([tar, Buffer.alloc(1)]), []), { code: 'content-mismatch' })
})

void t.test('a pack of nothing is its end', async (t) => {
  const sink = new Collected()
  const reader = new PackReader([], sink)
  t.throws(() => reader.finish(), { code: 'content-mismatch' })
  reader.push(Buffer.alloc(tarEndBytes))
  reader.finish()
  t.same(sink.files, [])
})
