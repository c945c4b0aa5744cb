// Sweeping the content store: exactly what no recorded release is made of goes, beside publishes,
// reads and builds in every order, and whenever the sweep is killed.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { buffer, text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { zstdDecompressSync } from 'node:zlib'
import t from 'tap'
import { openContentLibrary } from '#controller/content/content-library.ts'
import { ContentLayout } from '#controller/content/content-layout.ts'
import { canonicalTarBytes } from '#shared/canonical-tar.ts'
import { sha256Hex } from '#shared/ids.ts'
import { parseManifest } from '#shared/manifest.ts'
import { archive, file } from '../support/archives.ts'
import { buildPublisher, listingOf, publishBytes } from '../support/publishing.ts'
import { stumbling, SweptStore } from '../support/swept-store.ts'

const shared = { 'lib/a': 'the same in all', 'lib/b': 'this too' }
const one = { ...shared, 'version': 'one', 'old': 'only the first has it' }
const two = { ...shared, version: 'two' }

/** A gate that is closed until the test opens it; `reached` when somebody waits at it. */
function gate() {
  const reached = Promise.withResolvers<void>()
  const opened = Promise.withResolvers<void>()
  return {
    reached: reached.promise,
    open: () => opened.resolve(),
    pass: () => {
      reached.resolve()
      return opened.promise
    },
  }
}

const digestsIn = (root: string): string[] =>
  listingOf(join(root, 'content')).flatMap((line) => {
    const [, digest] = /([0-9a-f]{2}\/[0-9a-f]{62}) \d+$/.exec(line) ?? []
    return digest === undefined ? [] : [digest.replace('/', '')]
  })

void t.test('what no recorded release is made of goes, and nothing else', async (t) => {
  const swept = await SweptStore.open(t.testdir())
  const { root } = swept
  await swept.publish('one', one)
  await swept.publish('two', two)
  t.same(await swept.sweep(), { files: 0, bytes: 0 }, 'nothing while both are recorded')
  swept.forget('one')
  const before = listingOf(root)
  const counted = await swept.sweep(true)
  t.same(listingOf(root), before, 'a dry run removes nothing')
  t.same(await swept.sweep(), counted, 'and counts what goes')
  t.equal(counted.files, 4, 'two files, a manifest, an artifact')
  t.same(swept.lacking(), [])
  const left = Object.values(two).map((content) => sha256Hex(content))
  t.same(new Set(digestsIn(root)), new Set(left))
  t.same(await swept.sweep(), { files: 0, bytes: 0 })
  await swept.publish('one', one)
  t.same(swept.lacking(), [], 'it can be published again')
  swept.forget('one')
  swept.forget('two')
  await swept.sweep()
  t.same(digestsIn(root), [])
})

void t.test('damaged leftovers go with their release, strange files stay', async (t) => {
  const swept = await SweptStore.open(t.testdir())
  await swept.publish('one', one)
  await swept.publish('two', two)
  const layout = new ContentLayout(swept.root)
  const old = layout.pathOf('content', sha256Hex(one.old))
  await swept.store.setAside('content', sha256Hex(one.old))
  writeFileSync(join(swept.root, 'content', 'README'), 'mine')
  await swept.sweep()
  t.ok(existsSync(`${old}.damaged`), 'evidence, as long as the release is there')
  swept.forget('one')
  await swept.sweep()
  t.notOk(existsSync(`${old}.damaged`))
  t.ok(existsSync(join(swept.root, 'content', 'README')))
})

void t.test('without the manifest of a recorded release nothing is removed', async (t) => {
  const swept = await SweptStore.open(t.testdir())
  const tree = await swept.publish('one', one)
  await swept.publish('two', two)
  swept.forget('two')
  const path = new ContentLayout(swept.root).pathOf('manifests', tree)
  writeFileSync(path, 'something else')
  const before = listingOf(swept.root)
  await t.rejects(swept.sweep(), { code: 'disk-error', message: /damaged/ })
  rmSync(path)
  await t.rejects(swept.sweep(), { code: 'disk-error', message: /lacking/ })
  t.same(
    listingOf(swept.root),
    before.filter((line) => !line.startsWith(path)),
  )
})

void t.test('a publish that found content in place keeps it', async (t) => {
  // Held up when everything is written and before anything can be found.
  const atSync = gate()
  let isSlow = false
  const swept = await SweptStore.open(t.testdir(), {
    sync: async () => (isSlow ? atSync.pass() : undefined),
  })
  await swept.publish('one', one)
  swept.forget('one')
  isSlow = true
  const publishing = swept.publish('two', two)
  await atSync.reached
  const { files } = await swept.sweep()
  t.equal(files, 4, 'of the first, what the second has not')
  atSync.open()
  await publishing
  t.same(swept.lacking(), [])
})

void t.test('a publish that is stored and not yet recorded is safe', async (t) => {
  const atRecord = gate()
  const swept = await SweptStore.open(t.testdir(), { record: atRecord.pass })
  const publishing = swept.publish('one', one)
  await atRecord.reached
  t.same(await swept.sweep(), { files: 0, bytes: 0 })
  atRecord.open()
  await publishing
  t.same(swept.lacking(), [])
})

void t.test('a publish that is recorded after the sweep asked is safe', async (t) => {
  const asked = gate()
  let isSlow = false
  const swept = await SweptStore.open(t.testdir(), {
    recorded: async () => (isSlow ? asked.pass() : undefined),
  })
  await swept.publish('one', one)
  swept.forget('one')
  isSlow = true
  const sweeping = swept.sweep()
  await asked.reached
  await swept.publish('two', two)
  asked.open()
  t.equal((await sweeping).files, 4)
  t.same(swept.lacking(), [])
})

void t.test('a file that is being removed is written anew', async (t) => {
  const removing = gate()
  const wanted = sha256Hex(shared['lib/a'])
  const swept = await SweptStore.open(t.testdir(), {
    remove: async (path) => (path.endsWith(wanted.slice(2)) ? removing.pass() : undefined),
  })
  await swept.publish('one', one)
  swept.forget('one')
  const sweeping = swept.sweep()
  await removing.reached
  const publishing = swept.publish('two', two)
  let isPublished = false
  const published = publishing.then(() => {
    isPublished = true
  })
  // Whatever it can do without that file is done in these rounds.
  for (let round = 0; round < 200; round += 1) await new Promise(setImmediate)
  t.notOk(isPublished, 'it waits for the removal')
  removing.open()
  await Promise.all([sweeping, published])
  t.same(swept.lacking(), [])
})

void t.test('in every order of publishes, removals and sweeps nothing is lost', async (t) => {
  const root = t.testdir()
  const seeds = Array.from({ length: 60 }, (_, at) => at + 1)
  let removed = 0
  for (const seed of seeds) {
    const wait = stumbling(seed)
    const swept = await SweptStore.open(join(root, String(seed)), {
      sync: wait,
      remove: wait,
      record: wait,
      recorded: wait,
    })
    // Of every two some files are the same, and no release has only files of its own.
    const release = (at: number) => ({ ...shared, [`own-${at}`]: `${at}`, half: `${at % 2}` })
    for (const at of [0, 1, 2, 3]) await swept.publish(`${at}`, release(at))
    const sweeps = async (): Promise<void> => {
      for (let round = 0; round < 4; round += 1) {
        await wait()
        removed += (await swept.sweep()).files
      }
    }
    const again = async (at: number, pauses: number): Promise<void> => {
      swept.forget(`${at}`)
      for (let pause = 0; pause < pauses; pause += 1) await wait()
      await swept.publish(`${at}`, release(at))
    }
    await Promise.all([again(0, 0), again(1, 4), again(2, 8), again(3, 16), sweeps()])
    const lacking = swept.lacking()
    if (lacking.length > 0) t.same(lacking, [], `seed ${seed}`)
    rmSync(swept.root, { recursive: true })
  }
  t.ok(removed > seeds.length, `${removed} files were removed meanwhile`)
})

void t.test('who reads a manifest or an artifact reads it to its end', async (t) => {
  const root = t.testdir()
  const library = await openContentLibrary(root)
  const { tree, artifact, manifest } = await publishBytes(
    buildPublisher(library.store),
    archive(file('a', 'content')),
  )
  const nothing = async () => ({ trees: new Set<string>(), artifacts: new Set<string>() })
  const [opened, tarball] = [await library.openManifest(tree), await library.openArtifact(artifact)]
  t.same(await library.sweep({ recorded: nothing, dryRun: false }), { files: 0, bytes: 0 })
  t.equal(await text(await opened.read()), manifest)
  t.equal(sha256Hex(await buffer(await tarball.read())), artifact)
  const pack = await library.openPack(tree, null)
  opened.close()
  tarball.close()
  t.equal((await library.sweep({ recorded: nothing, dryRun: false })).files, 3)
  t.ok((await buffer(await pack.read())).length > 0, 'a pack that is read stays too')
  pack.close()
  await t.rejects(library.openManifest(tree), { code: 'unknown-tree' })
  await t.rejects(library.openArtifact(artifact), { code: 'not-found' })
  t.equal((await library.sweep({ recorded: nothing, dryRun: true })).files, 1, 'the pack')
  t.equal((await library.sweep({ recorded: nothing, dryRun: false })).files, 1)
  t.same(readdirSync(join(root, 'packs')), [])
  await t.rejects(library.openPack(tree, null), { code: 'unknown-tree' })
  await library.close()
})

void t.test('a pack that is being built beside a sweep is whole, or is not there', async (t) => {
  const root = t.testdir()
  const library = await openContentLibrary(root)
  const nothing = async () => ({ trees: new Set<string>(), artifacts: new Set<string>() })
  const files = Array.from({ length: 200 }, (_, at) => file(`${at}`, `content ${at} `.repeat(at)))
  const ends = new Map<string, number>()
  for (let round = 0; round < 8; round += 1) {
    const publish = buildPublisher(library.store)
    const { tree, manifest } = await publishBytes(publish, archive(...files))
    const sweeping = library.sweep({ recorded: nothing, dryRun: false })
    for (let turn = 0; turn < round * 3; turn += 1) await new Promise(setImmediate)
    const built = await library.openPack(tree, null).catch((error: unknown) => {
      t.match(error, { code: 'unknown-tree' })
      return null
    })
    const end = built === null ? 'gone' : 'whole'
    ends.set(end, (ends.get(end) ?? 0) + 1)
    if (built !== null) {
      const bytes = zstdDecompressSync(await buffer(await built.read()))
      t.equal(bytes.length, canonicalTarBytes(parseManifest(manifest)))
      built.close()
    }
    await sweeping
    await library.sweep({ recorded: nothing, dryRun: false })
    t.same(digestsIn(root), [], 'and nothing stays for good')
  }
  t.comment(Object.fromEntries(ends))
  await library.close()
})

void t.test('a sweep that is killed leaves every recorded release whole', async (t) => {
  const program = fileURLToPath(new URL('../support/sweep-process.ts', import.meta.url))
  const many = Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`old-${at}`, `old ${at}`]))
  for (const kills of [1, 2, 20, 61, 62]) {
    const root = t.testdir()
    const swept = await SweptStore.open(root)
    const tree = await swept.publish('two', two)
    const [artifact = ''] = swept.recorded().artifacts
    await swept.publish('one', { ...one, ...many })
    swept.forget('one')
    const child = spawn(process.execPath, [program, root, tree, artifact], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exited = once(child, 'exit')
    let lines = 0
    for await (const _ of createInterface({ input: child.stdout })) {
      lines += 1
      if (lines === kills) child.kill('SIGKILL')
    }
    const [, signal]: (string | null)[] = await exited
    t.equal(signal, 'SIGKILL', `at removal ${kills}`)
    const restarted = await SweptStore.open(root)
    restarted.know('two', tree, artifact)
    t.same(restarted.lacking(), [])
    const rest = await restarted.sweep()
    t.ok(rest.files > 0, `${rest.files} were left for the next sweep`)
    t.same(restarted.lacking(), [])
    t.equal(digestsIn(root).length, Object.keys(two).length)
    await restarted.publish('one', { ...one, ...many })
    t.same(restarted.lacking(), [], 'and what was half removed can be published again')
  }
})
