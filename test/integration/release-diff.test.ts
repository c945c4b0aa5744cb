// Comparing two releases: against a comparison that holds everything, in pages, and of trees as large
// as they may be.

import { Readable } from 'node:stream'
import fc from 'fast-check'
import t from 'tap'
import { manifestEntries } from '#controller/content/manifest-entries.ts'
import { diffOf } from '#controller/views/release-diff.ts'
import { differenceOf, pairedEntries } from '#controller/views/tree-comparison.ts'
import type { DiffView } from '#shared/api/release-schemas.ts'
import { sha256Hex } from '#shared/ids.ts'
import { formatManifest, type ManifestEntry, parseManifest } from '#shared/manifest.ts'
import { archive, directory, file, link } from '../support/archives.ts'
import { RunningController } from '../support/running-controller.ts'

const names = ['a', 'b', 'é', '\u{1f600}', '\uff5e', 'B', 'z-1', 'z.1']

const entry: fc.Arbitrary<ManifestEntry> = fc.oneof(
  fc.record({
    type: fc.constant('file' as const),
    path: fc.constantFrom(...names),
    mode: fc.constantFrom(0o644, 0o755),
    sizeBytes: fc.nat(9),
    sha256: fc.constantFrom('1', '2', '3').map(sha256Hex),
  }),
  fc.record({
    type: fc.constant('directory' as const),
    path: fc.constantFrom(...names),
    mode: fc.constantFrom(0o755, 0o700),
  }),
  fc.record({
    type: fc.constant('link' as const),
    path: fc.constantFrom(...names),
    target: fc.constantFrom('a', 'b'),
  }),
)
const tree = fc
  .uniqueArray(entry, { minLength: 1, selector: ({ path }) => path })
  .map((entries) => formatManifest(entries.filter(({ type }) => type !== 'link').concat(file1)))

const file1: ManifestEntry[] = [
  { type: 'file', path: 'always', mode: 0o644, sizeBytes: 1, sha256: sha256Hex('x') },
]

/** In pieces of a few bytes, so that lines and characters are cut. */
function inPieces(text: string, bytes: number): Readable {
  const whole = Buffer.from(text)
  const pieces = Array.from({ length: Math.ceil(whole.length / bytes) }, (_, at) =>
    whole.subarray(at * bytes, (at + 1) * bytes),
  )
  return Readable.from(pieces, { objectMode: false })
}

void t.test('a manifest that is read in pieces is the same', async () => {
  await fc.assert(
    fc.asyncProperty(tree, fc.integer({ min: 1, max: 50 }), async (text, bytes) => {
      const entries: ManifestEntry[] = []
      for await (const batch of manifestEntries(inPieces(text, bytes))) entries.push(...batch)
      return JSON.stringify(entries) === JSON.stringify(parseManifest(text))
    }),
  )
})

void t.test('every path is compared once, as one that holds all of them would', async (t) => {
  await fc.assert(
    fc.asyncProperty(tree, tree, async (from, to) => {
      const [old, young] = [parseManifest(from), parseManifest(to)]
      const paths = new Set([...old, ...young].map(({ path }) => path))
      const found: string[] = []
      const pairs = pairedEntries(
        manifestEntries(inPieces(from, 99)),
        manifestEntries(inPieces(to, 7)),
      )
      for await (const some of pairs) {
        for (const pair of some) {
          const path = pair.from?.path ?? pair.to?.path ?? ''
          found.push(path)
          t.strictSame(pair.from, old.find((one) => one.path === path) ?? null)
          t.strictSame(pair.to, young.find((one) => one.path === path) ?? null)
          const isSame = JSON.stringify(pair.from) === JSON.stringify(pair.to)
          if (isSame) t.equal(differenceOf(pair), null)
        }
      }
      return found.length === paths.size && found.every((path) => paths.has(path))
    }),
    { numRuns: 50 },
  )
})

void t.test(
  'over HTTP: what was added, removed and changed, and what a delta brings',
  async (t) => {
    const controller = await RunningController.start(t)
    const old = archive(
      directory('d/', { mode: 0o755 }),
      file('d/same', 'same'),
      file('d/content', 'one'),
      file('d/mode', 'mode', { mode: 0o644 }),
      link('d/link', 'same'),
      file('gone', 'gone'),
      file('kind', 'kind'),
    )
    const young = archive(
      directory('d/', { mode: 0o700 }),
      file('d/same', 'same'),
      file('d/content', 'three'),
      file('d/mode', 'mode', { mode: 0o755 }),
      link('d/link', 'content'),
      link('kind', 'd/same'),
      file('moved', 'gone'),
      file('new', 'new one'),
    )
    const put = (version: string, body: Buffer) =>
      controller.call('PUT', `/v1/apps/shop/releases/${version}`, { body })
    await put('1', old)
    await put('2', young)
    const diff = (query: string, to = '2') =>
      controller.ask<DiffView>('GET', `/v1/apps/shop/releases/${to}/diff?from=${query}`)
    const view = await diff('1')
    t.same(
      view.items.map(({ path, change, what }) => [path, change, ...what].join(' ')),
      [
        'd changed mode',
        'd/content changed content',
        'd/link changed target',
        'd/mode changed mode',
        'gone removed',
        'kind changed type',
        'moved added',
        'new added',
      ],
    )
    t.match(view, {
      app: 'shop',
      from: { version: '1' },
      to: { version: '2' },
      totals: {
        added: { entries: 2, bytes: 11 },
        removed: { entries: 1, bytes: 4 },
        changed: { entries: 5, bytes: 9 },
        same: { entries: 1, bytes: 4 },
      },
      delta: { files: 2, bytes: 12 },
      next: null,
    })
    t.match(view.items[1], {
      from: { type: 'file', mode: 0o644, sizeBytes: 3, sha256: sha256Hex('one'), target: null },
      to: { sizeBytes: 5 },
    })
    const pages = [
      await diff('1&limit=3'),
      await diff('1&limit=3&after=3'),
      await diff('1&after=6'),
    ]
    t.same(
      pages.map(({ next }) => next),
      ['3', '6', null],
    )
    t.same(
      pages.flatMap(({ items }) => items),
      view.items,
    )
    t.ok(
      pages.every(({ totals }) => totals.added.entries === 2),
      'totals are of all',
    )
    t.match(await diff('2'), { items: [], totals: { same: { entries: 8 } }, delta: { files: 0 } })
    t.match((await diff('2', '1')).delta, { files: 2, bytes: 7 }, 'the other way')
    const wrong: [path: string, status: number][] = [
      ['2/diff', 400],
      ['2/diff?from=../x', 400],
      ['2/diff?from=9', 404],
      ['9/diff?from=1', 404],
      ['2/diff?from=1&limit=0', 400],
    ]
    for (const [path, status] of wrong) {
      t.equal((await controller.call('GET', `/v1/apps/shop/releases/${path}`)).status, status, path)
    }
  },
)

void t.test('two trees of 200,000 entries are compared beside other work', async (t) => {
  const manifest = (version: string): string => {
    const lines = Array.from({ length: 200_000 }, (_, at) => {
      const content = sha256Hex(at % 10 === 0 ? `${version} ${at}` : `${at}`)
      return `f\t0644\t${at % 1000}\t${content}\t${1_000_000 + at}-a-name-of-usual-length.js\n`
    })
    return `lockstep-manifest 1\n${lines.join('')}`
  }
  const manifests: Record<string, string> = { one: manifest('one'), two: manifest('two') }
  const openManifest = async (name: string) => ({
    sizeBytes: 0,
    etag: '',
    read: async () => inPieces(manifests[name] ?? '', 1 << 20),
    close: () => undefined,
  })
  const release = (name: string) => ({
    app: 'shop',
    version: name,
    number: 1,
    tree: name,
    artifact: '',
    artifactBytes: 0,
    treeBytes: 0,
    entries: 0,
    publishedAt: 0,
    publishedBy: '',
    statement: null,
    sequence: null,
    requires: null,
  })
  let turns = 0
  let isDone = false
  const beside = (async () => {
    while (!isDone) {
      turns += 1
      await new Promise(setImmediate)
    }
  })()
  const startedAt = performance.now()
  const view = await diffOf({ openManifest }, release('one'), release('two'), {
    after: 0,
    limit: 10,
  })
  t.comment(`${Math.round(performance.now() - startedAt)} ms, ${turns} turns of other work`)
  isDone = true
  await beside
  t.match(view, {
    totals: { changed: { entries: 20_000 }, same: { entries: 180_000 } },
    delta: { files: 20_000 },
    next: '10',
  })
  t.ok(turns > 10, 'other work went on meanwhile')
})
