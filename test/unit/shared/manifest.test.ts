// The canonical text of a manifest: written, read again, and refused in every other form.

import t from 'tap'
import fc from 'fast-check'
import { sha256Hex } from '#shared/ids.ts'
import {
  comparePaths,
  formatManifest,
  type ManifestEntry,
  mtimeSecondsOf,
  parseManifest,
  treeBytesOf,
  treeDigestOf,
} from '#shared/manifest.ts'

const sha256 = sha256Hex('content\n')
const file = (path: string, sizeBytes = 8): ManifestEntry => ({
  type: 'file',
  path,
  mode: 0o644,
  sizeBytes,
  sha256,
})
const directory = (path: string, mode = 0o755): ManifestEntry => ({ type: 'directory', path, mode })
const link = (path: string, target: string): ManifestEntry => ({ type: 'link', path, target })

const example = [
  'lockstep-manifest 1',
  'd\t0755\tbin',
  `f\t0755\t12\t${sha256}\tbin/start`,
  'l\tbin/start\tstart',
  '',
].join('\n')

void t.test('a manifest is one canonical text', async (t) => {
  const entries: ManifestEntry[] = [
    link('start', 'bin/start'),
    { ...file('bin/start', 12), type: 'file', mode: 0o755, sizeBytes: 12, sha256 },
    directory('bin'),
  ]
  t.equal(formatManifest(entries), example)
  t.same(parseManifest(example), entries.toReversed())
  t.equal(treeDigestOf(example), sha256Hex(example))
  t.equal(treeBytesOf(parseManifest(example)), 12)
})

void t.test('paths are sorted by their bytes', async (t) => {
  const paths = ['a', 'a-b', 'a/c', 'ab', 'b', 'é', '\uffee', '\u{10000}', '🚀']
  const shuffled = ['🚀', 'ab', 'b', 'a/c', 'é', 'a-b', '\u{10000}', 'a', '\uffee']
  t.same(shuffled.toSorted(comparePaths), paths)
  const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
      t.equal(Math.sign(comparePaths(a, b)), byBytes(a, b))
    }),
  )
})

void t.test('what was written is read again', async (t) => {
  const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter((text) => {
    const isPlain =
      !/[\p{Cc}\p{Cs}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069/\\]/u.test(text)
    return isPlain && !['.', '..', '.lockstep'].includes(text) && !text.includes('\ufffd')
  })
  fc.assert(
    fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 20 }), (names) => {
      const entries = names.flatMap((path, index): ManifestEntry[] =>
        index % 3 === 0
          ? [directory(path, 0o700), file(`${path}/f`, index)]
          : [index % 3 === 1 ? file(path) : link(path, 'anywhere')],
      )
      const text = formatManifest(entries)
      t.equal(formatManifest(parseManifest(text)), text)
      t.same(new Set(parseManifest(text)), new Set(entries))
    }),
  )
})

void t.test('a text that is not canonical is refused', async (t) => {
  const line = `f\t0644\t8\t${sha256}\ta`
  const texts: Record<string, string> = {
    'nothing': '',
    'no header': `${line}\n`,
    'another version': `lockstep-manifest 2\n${line}\n`,
    'a byte order mark': `\ufefflockstep-manifest 1\n${line}\n`,
    'no line feed at the end': `lockstep-manifest 1\n${line}`,
    'no entries': 'lockstep-manifest 1\n',
    'an empty line': `lockstep-manifest 1\n${line}\n\n`,
    'a carriage return': `lockstep-manifest 1\r\n${line}\r\n`,
    'an unknown type': `lockstep-manifest 1\nx\t0644\ta\n`,
    'a missing field': `lockstep-manifest 1\nd\t0755\n`,
    'a further field': `lockstep-manifest 1\n${line}\tb\n`,
    'a short mode': 'lockstep-manifest 1\nd\t755\ta\n',
    'a mode with group write': 'lockstep-manifest 1\nd\t0775\ta\n',
    'a size with a zero in front': `lockstep-manifest 1\nf\t0644\t08\t${sha256}\ta\n`,
    'a negative size': `lockstep-manifest 1\nf\t0644\t-8\t${sha256}\ta\n`,
    'an upper-case digest': `lockstep-manifest 1\nf\t0644\t8\t${sha256.toUpperCase()}\ta\n`,
    'a wrong order': `lockstep-manifest 1\n${line}\nd\t0755\tA\n`,
  }
  for (const [name, text] of Object.entries(texts)) {
    t.throws(() => parseManifest(text), { code: 'bad-manifest' }, name)
  }
})

void t.test('a canonical text that no release may have is refused by the rule', async (t) => {
  const rows: [line: string, rule: string][] = [
    ['d\t0755\t..', 'parent-segment'],
    ['d\t0755\t/etc', 'absolute-path'],
    ['d\t0755\t.lockstep', 'reserved-name'],
    ['d\t0755\ta\u202e', 'bidi-character'],
    ['l\t../x\ta', 'leaving-target'],
    ['d\t0755\ta\nd\t0755\ta', 'duplicate'],
    ['d\t0755\ta/b', 'below-non-directory'],
    ['l\tb\ta\nd\t0755\ta/b', 'below-non-directory'],
    [`f\t0644\t8\t${sha256}\ta\nd\t0755\ta/b`, 'below-non-directory'],
    ['l\tb\ta\nl\ta\tb', 'link-loop'],
    ['d\t0755\tx\nl\t..\tx/up\nl\tx/up/..\tz', 'leaving-target'],
  ]
  for (const [lines, rule] of rows) {
    const text = `lockstep-manifest 1\n${lines}\n`
    t.throws(() => parseManifest(text), { code: 'refused-entry', details: { rule } }, lines)
  }
})

void t.test('sizes have limits', async (t) => {
  const huge = `f\t0644\t9000000000\t${sha256}\t`
  t.throws(() => parseManifest(`lockstep-manifest 1\n${huge}a\n`), { code: 'archive-too-large' })
  const large = `f\t0644\t8000000000\t${sha256}\t`
  const text = `lockstep-manifest 1\n${['a', 'b', 'c'].map((path) => large + path).join('\n')}\n`
  t.throws(() => parseManifest(text), { code: 'archive-too-large', message: /together/ })
})

void t.test('links may be many, but not cost without bound', async (t) => {
  const many = Array.from({ length: 20_000 }, (_, index) => link(`l${index}`, 'a/b/c/d/e'))
  t.doesNotThrow(() => formatManifest(many))
  // Each leads through 39 others of 200 names each.
  const chain = Array.from({ length: 39 }, (_, index) =>
    link(`c${index}`, `${'x/'.repeat(100)}${'../'.repeat(100)}c${index + 1}`),
  )
  const hostile = Array.from({ length: 1000 }, (_, index) => link(`h${index}`, 'c0'))
  t.throws(() => formatManifest([...chain, ...hostile]), { code: 'archive-too-large' })
})

void t.test('the modification time follows from the content alone', async (t) => {
  const of = (digest: string): number =>
    mtimeSecondsOf({ type: 'file', path: 'a', mode: 0o644, sizeBytes: 1, sha256: digest })
  t.equal(of('0'.repeat(64)), 946684800)
  t.equal(of('f'.repeat(64)), 946684800 + 2 ** 28 - 1)
  t.equal(of(`0000001${'f'.repeat(57)}`), 946684801)
  t.equal(mtimeSecondsOf(directory('a')), 946684800)
  t.equal(mtimeSecondsOf(link('a', 'b')), 946684800)
})
