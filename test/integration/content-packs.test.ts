// The cache of packs: one build however many ask, a bound in bytes, and nobody's pack taken away
// while it is read.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import { ContentLayout } from '#controller/content/content-layout.ts'
import { type ContentLibrary, openContentLibrary } from '#controller/content/content-library.ts'
import { PackCache } from '#controller/content/pack-cache.ts'
import type { ContentStore } from '#controller/content/ports.ts'
import { archive, file } from '../support/archives.ts'
import { buildPublisher, openTestStore, publishBytes, streamOf } from '../support/publishing.ts'

/** A release of one file that does not compress, about `sizeBytes` when packed. */
async function publishNoise(store: ContentStore, seed: number, sizeBytes: number): Promise<string> {
  let state = seed + 1
  const bytes = Buffer.alloc(sizeBytes)
  for (let index = 0; index < sizeBytes; index += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[index] = state >>> 24
  }
  return (await publishBytes(buildPublisher(store), archive(file('noise', bytes)))).tree
}

async function useOnce(library: Pick<ContentLibrary, 'openPack'>, tree: string): Promise<string> {
  const pack = await library.openPack(tree, null)
  pack.close()
  return pack.etag
}

const packsIn = (root: string): string[] => readdirSync(join(root, 'packs'))

void t.test('however many ask at once, a pack is built once', async (t) => {
  const root = t.testdir()
  const store = await openTestStore(root)
  const tree = await publishNoise(store, 1, 400_000)
  let reads = 0
  const content: ContentStore = {
    sizeOf: (kind, sha256) => store.sizeOf(kind, sha256),
    read: (kind, sha256, range) => {
      reads += 1
      return store.read(kind, sha256, range)
    },
    readWhole: (kind, sha256) => store.readWhole(kind, sha256),
    setAside: (kind, sha256) => store.setAside(kind, sha256),
    begin: () => store.begin(),
    claim: (kind, sha256) => store.claim(kind, sha256),
    sweep: (request) => store.sweep(request),
  }
  const packs = await PackCache.open({ layout: new ContentLayout(root), content }, 1 << 30)
  const opened = await Promise.all(
    Array.from({ length: 50 }, () => packs.use({ to: tree, from: null })),
  )
  t.equal(reads, 1)
  t.equal(new Set(opened.map(({ etag }) => etag)).size, 1)
  t.equal(packsIn(root).length, 1)
  for (const pack of opened) pack.close()
  await packs.use({ to: tree, from: null }).then((pack) => pack.close())
  t.equal(reads, 1, 'and not again later')
  await packs.close()
})

void t.test('a failed build is not remembered', async (t) => {
  const library = await openContentLibrary(t.testdir())
  const tarball = archive(file('a'))
  const { tree } = await publishBytes(buildPublisher(await openTestStore(t.testdir())), tarball)
  const root = t.testdir()
  const fresh = await openContentLibrary(root)
  await t.rejects(fresh.openPack(tree, null), { code: 'unknown-tree' })
  await publishBytes(buildPublisher(fresh.store), tarball)
  await t.resolves(useOnce(fresh, tree))
  await Promise.all([library.close(), fresh.close()])
})

void t.test('the least recently used pack goes when there are too many bytes', async (t) => {
  const root = t.testdir()
  const library = await openContentLibrary(root, 250_000)
  const trees = [
    await publishNoise(library.store, 1, 100_000),
    await publishNoise(library.store, 2, 100_000),
    await publishNoise(library.store, 3, 100_000),
  ] as const
  await useOnce(library, trees[0])
  await useOnce(library, trees[1])
  await useOnce(library, trees[0])
  await useOnce(library, trees[2])
  const kept = packsIn(root).map((name) => name.slice(0, 64))
  t.same(kept.toSorted(), [trees[0], trees[2]].toSorted(), 'the second was used longest ago')
  await library.close()
})

void t.test('a pack that is read is never evicted', async (t) => {
  const root = t.testdir()
  const library = await openContentLibrary(root, 1)
  const first = await publishNoise(library.store, 1, 100_000)
  const second = await publishNoise(library.store, 2, 100_000)
  const pack = await library.openPack(first, null)
  await useOnce(library, second)
  const other = await library.openPack(second, null)
  t.equal(packsIn(root).length, 2, 'both are in use')
  t.equal((await buffer(await pack.read())).length, pack.sizeBytes)
  pack.close()
  pack.close()
  const again = await library.openPack(second, null)
  t.same(
    packsIn(root).map((name) => name.slice(0, 64)),
    [second],
    'the first went as soon as it could',
  )
  t.equal(again.etag, other.etag)
  other.close()
  again.close()
  await library.close()
})

void t.test('a pack that was evicted is built again with the same bytes', async (t) => {
  const library = await openContentLibrary(t.testdir(), 1)
  const first = await publishNoise(library.store, 1, 100_000)
  const second = await publishNoise(library.store, 2, 100_000)
  const etag = await useOnce(library, first)
  await useOnce(library, second)
  t.equal(await useOnce(library, first), etag, 'so that a download can go on')
  await library.close()
})

void t.test('users of many packs at once all get theirs though the cache holds none', async (t) => {
  const library = await openContentLibrary(t.testdir(), 1)
  const trees = await Promise.all(
    Array.from({ length: 6 }, (_, index) => publishNoise(library.store, index, 30_000)),
  )
  const read = async (tree: string): Promise<number> => {
    const pack = await library.openPack(tree, null)
    const bytes = await buffer(await pack.read())
    pack.close()
    return bytes.length - pack.sizeBytes
  }
  const rounds = Array.from({ length: 10 }, () => trees).flat()
  t.same(new Set(await Promise.all(rounds.map(read))), new Set([0]))
  await library.close()
})

void t.test('packs are found again after a restart, with the same ETag', async (t) => {
  const root = t.testdir()
  const first = await openContentLibrary(root)
  const tree = await publishNoise(first.store, 1, 50_000)
  const etag = await useOnce(first, tree)
  await first.close()
  const second = await openContentLibrary(root)
  t.equal(await useOnce(second, tree), etag)
  t.equal(packsIn(root).length, 1)
  await second.close()
})

void t.test('closing ends a build and leaves no half pack', async (t) => {
  const root = t.testdir()
  const library = await openContentLibrary(root)
  const tree = await publishNoise(library.store, 1, 3_000_000)
  const opening = library.openPack(tree, null)
  await Promise.all([t.rejects(opening), library.close()])
  t.same(packsIn(root), [])
  await t.rejects(library.openPack(tree, null), /closed/)
})

void t.test('two publications of the same content at once agree', async (t) => {
  const root = t.testdir()
  const library = await openContentLibrary(root)
  const tarball = archive(file('a', Buffer.alloc(600_000, 'a')), file('b', 'b'))
  const publish = buildPublisher(library.store)
  const published = await Promise.all(
    Array.from({ length: 5 }, (_, index) =>
      publish({
        stream: streamOf(tarball, 1000 * (index + 1)),
        strip: 0,
        signal: new AbortController().signal,
      }),
    ),
  )
  t.equal(new Set(published.map(({ tree }) => tree)).size, 1)
  t.same(readdirSync(join(root, 'incoming')), [])
  await t.resolves(useOnce(library, published[0]?.tree ?? ''))
  await library.close()
})
