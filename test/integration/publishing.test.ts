// Publishing real trees: whatever tool, format, compression, order and owner a tarball has, the same
// tree has the same digest, and every byte of it is in the store.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  createReadStream,
  linkSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync, zstdCompressSync } from 'node:zlib'
import t from 'tap'
import { parseManifest, treeDigestOf } from '#shared/manifest.ts'
import {
  archive,
  base256,
  directory,
  file,
  gnuLong,
  gzip,
  hardLink,
  link,
  pax,
  zstd,
} from '../support/archives.ts'
import {
  buildPublisher,
  listingOf,
  manifestOfDirectory,
  openTestStore,
  publishBytes,
} from '../support/publishing.ts'

const modules = fileURLToPath(new URL('../../node_modules', import.meta.url))
const lodash = join(modules, 'release-lodash')
const dateFns = join(modules, 'release-new')

/** What GNU tar writes to its standard output. */
function gnuTar(...args: string[]): Buffer {
  const { status, stdout, stderr } = spawnSync('tar', ['-cf', '-', ...args], {
    maxBuffer: 1 << 28,
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
  })
  if (status !== 0) throw new Error(`tar failed: ${stderr.toString()}`)
  return stdout
}

void t.test('one real tree has one digest however it was packed', async (t) => {
  const publish = buildPublisher(await openTestStore(t.testdir()))
  const tree = join(lodash, 'fp')
  const expected = manifestOfDirectory(tree)
  const plain = gnuTar('-C', tree, '.')
  const tarballs: Record<string, Buffer> = {
    'plain': plain,
    'gzip': gzip(plain),
    'zstd': zstd(plain),
    'gzip in two members': Buffer.concat([
      gzip(plain.subarray(0, 99999)),
      gzip(plain.subarray(99999)),
    ]),
    'zstd in many frames': Buffer.concat(
      Array.from({ length: 16 }, (_, index) => {
        const step = Math.ceil(plain.length / 16)
        return zstdCompressSync(plain.subarray(index * step, (index + 1) * step))
      }),
    ),
    'GNU format': gnuTar('--format=gnu', '-C', tree, '.'),
    'pax format': gnuTar('--format=pax', '-C', tree, '.'),
    'ustar format': gnuTar('--format=ustar', '-C', tree, '.'),
    'sorted': gnuTar('--sort=name', '-C', tree, '.'),
    'of other owners and times': gnuTar('--owner=0', '--group=99', '--mtime=@1', '-C', tree, '.'),
    'with modes of another umask': gnuTar('--mode=g+w', '-C', tree, '.'),
  }
  for (const [name, tarball] of Object.entries(tarballs)) {
    const published = await publishBytes(publish, tarball)
    t.equal(published.tree, treeDigestOf(expected), name)
    t.equal(published.artifact, createHash('sha256').update(tarball).digest('hex'), name)
    t.equal(published.artifactBytes, tarball.length, name)
  }
  const { manifest, entries } = await publishBytes(publish, plain)
  t.equal(manifest, expected, 'and the manifest is that of the directory')
  t.equal(entries, parseManifest(expected).length)
  t.ok(entries > 400, 'the tree is a real one')
})

void t.test('a tree of thousands of files is published', async (t) => {
  const publish = buildPublisher(await openTestStore(t.testdir()))
  const published = await publishBytes(publish, gzip(gnuTar('-C', dateFns, '.')))
  t.equal(published.manifest, manifestOfDirectory(dateFns))
  t.comment(`${published.entries} entries, ${published.treeBytes} bytes`)
})

void t.test('leading segments are stripped as tar does it', async (t) => {
  const publish = buildPublisher(await openTestStore(t.testdir()))
  const expected = treeDigestOf(manifestOfDirectory(join(lodash, 'fp')))
  const packed = gnuTar('-C', lodash, 'fp')
  t.equal((await publishBytes(publish, packed, { strip: 1 })).tree, expected)
  const dotted = gnuTar('-C', lodash, './fp')
  t.equal((await publishBytes(publish, dotted, { strip: 2 })).tree, expected, 'the . counts')
})

void t.test('links, hard links, long names and UTF-8 arrive as they were', async (t) => {
  const root = t.testdir({
    source: { a: { 'x.txt': 'x', '10': 'ten', 'empty': '', 'Ünïcode': 'ü' } },
  })
  const publish = buildPublisher(await openTestStore(join(root, 'data')))
  const source = join(root, 'source')
  linkSync(join(source, 'a/x.txt'), join(source, 'a/y.txt'))
  symlinkSync('../a/x.txt', join(source, 'a/link'))
  symlinkSync('a', join(source, 'directory-link'))
  const deep = join(source, ...Array.from({ length: 20 }, (_, index) => `level-${index}-é`))
  mkdirSync(deep, { recursive: true })
  writeFileSync(join(deep, 'long'.repeat(50)), 'deep', { mode: 0o755 })
  symlinkSync(`${'../'.repeat(20)}a/x.txt`.replace('a/', 'a/./'.repeat(40)), join(deep, 'link'))
  const expected = manifestOfDirectory(source)
  for (const format of ['gnu', 'pax']) {
    const published = await publishBytes(publish, gnuTar(`--format=${format}`, '-C', source, '.'))
    t.equal(published.manifest, expected, format)
  }
})

void t.test('what is odd but harmless is accepted', async (t) => {
  const publish = buildPublisher(await openTestStore(t.testdir()))
  const accepted: Record<string, [tarball: Buffer, lines: RegExp]> = {
    'implied directories': [
      archive(file('a/b/c', 'x')),
      /^d\t0755\ta\nd\t0755\ta\/b\nf\t0644\t1\t.*\ta\/b\/c$/m,
    ],
    'a directory after what lies in it': [
      archive(file('a/b', 'x'), directory('a/', { mode: 0o750 })),
      /^d\t0750\ta$/m,
    ],
    'names that differ in case': [archive(file('a'), file('A')), /\tA\n.*\ta\n/],
    'names that differ in normalisation': [
      archive(file('\u00e9'), file('e\u0301')),
      /\te\u0301\n.*\t\u00e9\n/,
    ],
    'names of other systems': [archive(file('c:x'), file('nul'), file('dot. ')), /\tdot\. \n/],
    'the mode 0777': [archive(file('a', 'x', { mode: 0o777 })), /^f\t0755/m],
    'the mode with the type in it': [archive(file('a', 'x', { mode: '100664 \0' })), /^f\t0644/m],
    'a hard link': [
      archive(file('a', 'x', { mode: 0o755 }), hardLink('b', './a')),
      /^f\t0755\t1\t([0-9a-f]+)\ta\nf\t0755\t1\t\1\tb$/m,
    ],
    'a hard link to a hard link': [
      archive(file('a'), hardLink('b', 'a'), hardLink('c', 'b')),
      /\tc\n/,
    ],
    'a dangling link': [archive(link('l', 'later/file')), /^l\tlater\/file\tl$/m],
    'a link to the top': [archive(link('a/l', '..')), /^l\t\.\.\ta\/l$/m],
    'the comment of git archive': [
      archive(pax({ comment: '0123456789abcdef' }, 'g'), file('a')),
      /\ta\n/,
    ],
    'attributes, times and owners': [
      archive(
        pax({ 'SCHILY.xattr.user.x': Buffer.from([0, 10, 255]), 'mtime': '1.5', 'uid': '5000000' }),
        file('a', 'x', { uid: base256(0x80, 9, 8), mtime: base256(0xff, 0xff, 12) }),
      ),
      /^f\t0644\t1\t[0-9a-f]{64}\ta$/m,
    ],
    'a size in base 256': [
      archive(file('a', 'x', { size: base256(0x80, 1, 12) })),
      /^f\t0644\t1\t/m,
    ],
    'a header from before ustar': [
      archive(file('d/', '', { magic: '' }), file('d/a')),
      /^d\t0644\td$/m,
    ],
    'a GNU long name': [
      archive(gnuLong('L', `${'n'.repeat(200)}/x`), file('n', 'x')),
      /\tn{200}\/x\n/,
    ],
    'zeros after the end': [Buffer.concat([archive(file('a')), Buffer.alloc(10_001)]), /\ta\n/],
    'zeros after gzip': [Buffer.concat([gzip(archive(file('a'))), Buffer.alloc(700)]), /\ta\n/],
  }
  for (const [name, [tarball, lines]] of Object.entries(accepted)) {
    for (const chunkBytes of [64 * 1024, 100]) {
      t.match((await publishBytes(publish, tarball, { chunkBytes })).manifest, lines, name)
    }
  }
})

void t.test('every file, the manifest and the tarball are in the store, once', async (t) => {
  const root = t.testdir()
  const content = await openTestStore(root)
  const publish = buildPublisher(content)
  const large = Buffer.alloc(1_000_000, 'large')
  const tarball = gzip(
    archive(file('a', large), file('b', large), file('c', 'small'), file('d', 'small')),
  )
  const published = await publishBytes(publish, tarball)
  for (const entry of parseManifest(published.manifest)) {
    if (entry.type !== 'file') continue
    const bytes = await content.readWhole('content', entry.sha256)
    t.equal(createHash('sha256').update(bytes).digest('hex'), entry.sha256, entry.path)
  }
  t.equal((await content.readWhole('manifests', published.tree)).toString(), published.manifest)
  t.ok(
    gunzipSync(await content.readWhole('artifacts', published.artifact)).equals(
      gunzipSync(tarball),
    ),
  )
  const stored = listingOf(root)
  t.equal(
    stored.filter((line) => line.startsWith(join(root, 'content'))).length,
    5,
    'two and a folder each',
  )
  t.same(await publishBytes(publish, tarball), published)
  t.same(listingOf(root), stored, 'publishing again adds nothing')
})

void t.test('a tarball is read from a file', async (t) => {
  const tarball = archive(file('a', readFileSync(process.execPath).subarray(0, 5e6)))
  const root = t.testdir({ 'release.tar': tarball })
  const publish = buildPublisher(await openTestStore(join(root, 'data')))
  const stream = createReadStream(join(root, 'release.tar'))
  const published = await publish({ stream, strip: 0, signal: new AbortController().signal })
  t.equal(published.treeBytes, 5e6)
})
