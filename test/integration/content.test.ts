// Content as it is served: packs that GNU tar unpacks to the published tree, deltas that hold only
// what is lacking, ranges, and a store that survives restarts and notices damage.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { zstdDecompressSync } from 'node:zlib'
import t from 'tap'
import { type ContentLibrary, openContentLibrary } from '#controller/content/content-library.ts'
import { syncFileSystem } from '#controller/content/sync-file-system.ts'
import { canonicalTarBytes } from '#shared/canonical-tar.ts'
import { sha256Hex } from '#shared/ids.ts'
import { mtimeSecondsOf, parseManifest } from '#shared/manifest.ts'
import { archive, file, link, pax } from '../support/archives.ts'
import {
  buildPublisher,
  listingOf,
  manifestOfDirectory,
  publishBytes,
} from '../support/publishing.ts'

const modules = fileURLToPath(new URL('../../node_modules', import.meta.url))

async function publishArchive(library: ContentLibrary, tarball: Buffer): Promise<string> {
  return (await publishBytes(buildPublisher(library.store), tarball)).tree
}

async function publishDirectory(library: ContentLibrary, directory: string): Promise<string> {
  const { stdout } = spawnSync('tar', ['-cf', '-', '-C', directory, '.'], { maxBuffer: 1 << 28 })
  return await publishArchive(library, stdout)
}

async function packOf(library: ContentLibrary, to: string, from: string | null): Promise<Buffer> {
  const pack = await library.openPack(to, from)
  try {
    return await buffer(await pack.read())
  } finally {
    pack.close()
  }
}

function unpackWithGnuTar(tarball: Buffer, directory: string): void {
  mkdirSync(directory)
  const { status, stderr } = spawnSync('tar', ['-xpf', '-', '-C', directory, '--no-same-owner'], {
    input: tarball,
  })
  if (status !== 0) throw new Error(stderr.toString())
}

void t.test('a whole pack is a canonical tar that GNU tar unpacks to the same tree', async (t) => {
  const root = t.testdir()
  const library = await openContentLibrary(join(root, 'data'))
  const tree = await publishDirectory(library, join(modules, 'release-lodash'))
  const pack = await packOf(library, tree, null)
  const tarball = zstdDecompressSync(pack)
  unpackWithGnuTar(tarball, join(root, 'unpacked'))
  const unpacked = manifestOfDirectory(join(root, 'unpacked'))
  t.equal(sha256Hex(unpacked), tree)
  t.equal(tarball.length, canonicalTarBytes(parseManifest(unpacked)))
  t.comment(`${tarball.length} bytes, ${pack.length} packed`)
  await library.close()
})

void t.test('the zstd command reads a pack, and reports its checksum good', async (t) => {
  const root = t.testdir()
  const library = await openContentLibrary(join(root, 'data'))
  const tree = await publishArchive(
    library,
    archive(file('a', Buffer.alloc(500_000, 'x')), link('l', 'a')),
  )
  const { status, stdout, error } = spawnSync('zstd', ['-dc'], {
    input: await packOf(library, tree, null),
    maxBuffer: 1 << 24,
  })
  if (error !== undefined) t.comment('no zstd command here')
  else t.same([status, stdout.length], [0, 512 + 500_224 + 512 + 1024])
  await library.close()
})

void t.test('files unpacked from a pack have the times of their content', async (t) => {
  const root = t.testdir()
  const library = await openContentLibrary(join(root, 'data'))
  const long = 'n'.repeat(120)
  const tree = await publishArchive(
    library,
    archive(file('a', 'aaa'), pax({ path: long }), file('n')),
  )
  unpackWithGnuTar(zstdDecompressSync(await packOf(library, tree, null)), join(root, 'unpacked'))
  const listed = spawnSync('stat', ['-c', '%Y %n', 'a', long], { cwd: join(root, 'unpacked') })
  const manifest = await (await library.openManifest(tree)).read()
  const entries = parseManifest((await buffer(manifest)).toString())
  t.equal(
    listed.stdout.toString(),
    entries.map((entry) => `${mtimeSecondsOf(entry)} ${entry.path}\n`).join(''),
  )
  await library.close()
})

void t.test('a delta holds the files whose content the base lacks, in order', async (t) => {
  const library = await openContentLibrary(t.testdir())
  const old = await publishArchive(
    library,
    archive(file('a', '1'), file('b', '2'), file('gone', '3')),
  )
  const next = await publishArchive(
    library,
    archive(
      file('a', '1', { mode: 0o755 }),
      file('b', 'changed'),
      file('moved/gone', '3'),
      file('new', 'n'),
      link('l', 'a'),
    ),
  )
  const tarball = zstdDecompressSync(await packOf(library, next, old))
  const listed = spawnSync('tar', ['-tf', '-'], { input: tarball })
  t.equal(listed.stdout.toString(), 'b\nnew\n')
  const none = zstdDecompressSync(await packOf(library, next, next))
  t.ok(none.equals(Buffer.alloc(1024)), 'nothing is lacking: only the end')
  await library.close()
})

void t.test('a delta of two real releases has no file that the base has', async (t) => {
  const library = await openContentLibrary(t.testdir())
  // A part of them: all of both is staged and swapped by five hosts end to end.
  const from = await publishDirectory(library, join(modules, 'release-old/fp'))
  const to = await publishDirectory(library, join(modules, 'release-new/fp'))
  const manifestOf = async (tree: string): Promise<string> =>
    (await buffer(await (await library.openManifest(tree)).read())).toString()
  const filesOf = (text: string): string[] =>
    parseManifest(text).flatMap((entry) => (entry.type === 'file' ? [entry.sha256] : []))
  const held = new Set(filesOf(await manifestOf(from)))
  const lacking = filesOf(await manifestOf(to)).filter((sha256) => !held.has(sha256))
  const delta = await packOf(library, to, from)
  const listed = spawnSync('tar', ['-tf', '-'], { input: zstdDecompressSync(delta) })
  t.equal(listed.stdout.toString().trimEnd().split('\n').length, lacking.length)
  const whole = await packOf(library, to, null)
  t.ok(delta.length < whole.length)
  t.comment(`whole ${whole.length} bytes, delta ${delta.length} bytes, ${lacking.length} files`)
  await library.close()
})

void t.test(
  'manifest, pack and artifact are served in any range under a strong ETag',
  async (t) => {
    const library = await openContentLibrary(t.testdir())
    const tarball = archive(file('a', Buffer.alloc(3_000_000, 'range ')))
    const published = await publishBytes(buildPublisher(library.store), tarball)
    const opened = {
      manifest: await library.openManifest(published.tree),
      pack: await library.openPack(published.tree, null),
      artifact: await library.openArtifact(published.artifact),
    }
    for (const [name, content] of Object.entries(opened)) {
      const whole = await buffer(await content.read())
      t.equal(content.sizeBytes, whole.length, name)
      t.equal(content.etag, `"${sha256Hex(whole)}"`, name)
      const last = whole.length - 1
      for (const [start, end] of [
        [0, 0],
        [0, last],
        [10, 20],
        [last, last],
        [last - 5, last],
      ] as const) {
        const part = await buffer(await content.read({ start, end }))
        t.ok(part.equals(whole.subarray(start, end + 1)), `${name} ${start}-${end}`)
      }
      content.close()
    }
    t.ok(
      (await buffer(await opened.artifact.read())).equals(tarball),
      'the very bytes that were uploaded',
    )
    await library.close()
  },
)

void t.test('what does not exist is refused by name', async (t) => {
  const root = t.testdir()
  const library = await openContentLibrary(root)
  const tree = await publishArchive(library, archive(file('a')))
  const unknown = 'f'.repeat(64)
  const before = listingOf(root)
  await t.rejects(library.openManifest(unknown), { code: 'unknown-tree' })
  await t.rejects(library.openPack(unknown, null), { code: 'unknown-tree' })
  await t.rejects(library.openPack(tree, unknown), { code: 'unknown-tree', message: /fff/ })
  await t.rejects(library.openArtifact(unknown), { code: 'not-found' })
  for (const digest of ['', '..', '../../etc/passwd', 'F'.repeat(64), `${unknown}\n`]) {
    await t.rejects(library.openManifest(digest), { code: 'bad-name' })
    await t.rejects(library.openPack(tree, digest), { code: 'bad-name' })
    await t.rejects(library.openPack(digest, null), { code: 'bad-name' })
    await t.rejects(library.openArtifact(digest), { code: 'bad-name' })
  }
  t.same(listingOf(root), before)
  await library.close()
})

void t.test('damaged content is found while packing, and published anew', async (t) => {
  const root = t.testdir()
  const library = await openContentLibrary(root)
  for (const [size, damage] of [
    [100, (bytes: Buffer) => bytes.fill('x', 50, 51)],
    [100, (bytes: Buffer) => bytes.subarray(0, 99)],
    [2_000_000, (bytes: Buffer) => bytes.fill('x', 1_500_000, 1_500_001)],
    [2_000_000, (bytes: Buffer) => Buffer.concat([bytes, bytes])],
  ] as const) {
    const content = Buffer.alloc(size, `content ${size} ${damage.toString()}`)
    const tarball = archive(file('some/file', content))
    const tree = await publishArchive(library, tarball)
    const sha256 = sha256Hex(content)
    const path = join(root, 'content', sha256.slice(0, 2), sha256.slice(2))
    writeFileSync(path, damage(readFileSync(path)))
    await t.rejects(library.openPack(tree, null), {
      code: 'disk-error',
      message: `Stored content ${sha256} is damaged`,
      hint: /some\/file/,
    })
    const packs = (): string[] => readdirSync(join(root, 'packs'))
    t.notOk(
      packs().some((name) => name.startsWith(tree)),
      'no half pack is left',
    )
    t.equal(await publishArchive(library, tarball), tree)
    t.ok((await packOf(library, tree, null)).length > 0)
    t.ok(packs().some((name) => name.startsWith(tree)))
  }
  await library.close()
})

void t.test('what a killed controller left half-done is removed at the next start', async (t) => {
  const root = t.testdir()
  const first = await openContentLibrary(root)
  const tree = await publishArchive(first, archive(file('a', 'kept')))
  const pack = await packOf(first, tree, null)
  const before = listingOf(root)
  // A publisher and a pack builder that never came to their end.
  const batch = await first.store.begin()
  await (await batch.createWriter('artifacts')).write(Buffer.from('half'))
  await batch.put('content', Buffer.from('other'))
  writeFileSync(join(root, 'packs', `${tree}.full.tmp`), 'half')
  t.ok(listingOf(root).length > before.length)
  const second = await openContentLibrary(root)
  t.same(listingOf(root), before)
  t.ok((await packOf(second, tree, null)).equals(pack), 'and what was whole is used on')
  await batch.discard()
  await second.close()
})

void t.test('a durable point is real, and fails by name', async (t) => {
  const root = t.testdir()
  await t.resolves(syncFileSystem(root))
  await t.rejects(syncFileSystem(join(root, 'nowhere')), { code: 'disk-error', message: /sync -f/ })
})

void t.test('everything is synced before it can be found, and once more after', async (t) => {
  const { openFileContentStore } = await import('#controller/content/file-content-store.ts')
  const root = t.testdir()
  const found: number[] = []
  const store = await openFileContentStore(root, async () => {
    found.push(readdirSync(join(root, 'artifacts')).length)
  })
  await publishBytes(buildPublisher(store), archive(file('a')))
  t.same(found, [0, 1])
})
