// Staging on a real disk from a real HTTP server: what is built is what was published, whatever
// of it was there before.

import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import t from 'tap'
import { deepAttest } from '#agent/attest/attest-version.ts'
import { quickAttest } from '#agent/attest/quick-attest.ts'
import { readRecordHead } from '#agent/attest/record.ts'
import { manifestPath } from '#agent/layout/app-layout.ts'
import { activateVersion } from '#agent/layout/current-link.ts'
import { stageRelease } from '#agent/staging/stage-release.ts'
import type { StageProgress } from '#agent/staging/progress.ts'
import { mtimeSecondsOf } from '#shared/manifest.ts'
import { ContentServer } from './content-server.ts'
import { codeOf, expectedTree, StagedApp, treeOnDisk } from './staged-app.ts'
import { noise, packOf, releaseOf } from './test-release.ts'

const one = releaseOf('1.0.0', {
  'index.php': '<?php echo 1;',
  'bin/run': { content: '#!/bin/sh\n', mode: 0o755 },
  'empty': '',
  'lib/same.js': 'export const same = 1\n',
  'lib/large.bin': noise('large', 400_000),
  'lib/closed': { directory: 0o555 },
  'lib/closed/secret': { content: 'x', mode: 0o400 },
  'lib/latest': { target: 'same.js' },
  'empty-directory': { directory: 0o700 },
  [`deep/${'d'.repeat(90)}/${'f'.repeat(120)}`]: 'a path for a pax header',
})
const two = releaseOf('1.0.1', {
  'index.php': '<?php echo 2;',
  'bin/run': { content: '#!/bin/sh\n', mode: 0o644 },
  'empty': '',
  'lib/moved.js': 'export const same = 1\n',
  'lib/large.bin': noise('large', 400_000),
  'new.txt': 'new',
})

void t.test('a first release is built from the full pack, exactly', async (t) => {
  const server = await ContentServer.start(t, one)
  const app = new StagedApp(t.testdir({}), server)
  const staged = await app.stage(one)

  t.same(treeOnDisk(app.path('1.0.0')), expectedTree(one))
  t.match(staged, { outcome: 'staged', version: '1.0.0', tree: one.tree, packs: ['full'] })
  t.match(staged, { fileCount: 7, resumes: 0, suspects: [], leftOutCount: 0 })
  t.equal(statSync(app.path('1.0.0')).mode & 0o7777, 0o755, 'the version itself is open')
  for (const entry of one.entries) {
    const { mtimeMs } = lstatSync(app.path('1.0.0', entry.path))
    t.equal(mtimeMs, mtimeSecondsOf(entry) * 1000, `mtime of ${entry.path}`)
  }
  t.same(app.leftovers(), [])
  t.same(await app.held(), ['1.0.0'])
  t.match(readRecordHead(app.layout, '1.0.0'), { tree: one.tree, entryCount: 15 })
  t.match(await quickAttest(app.layout, '1.0.0'), { outcome: 'whole', extras: [] })
  t.match(await deepAttest(app.layout, '1.0.0'), { outcome: 'whole', extras: [] })
  t.same(server.requests, [`/v1/trees/${one.tree}/manifest`, `/v1/trees/${one.tree}/pack`])
})

void t.test('staging again finds the release standing and asks nobody', async (t) => {
  const server = await ContentServer.start(t, one)
  const app = new StagedApp(t.testdir({}), server)
  await app.stage(one)
  server.requests.length = 0
  t.match(await app.stage(one), { outcome: 'held', packs: [] })
  t.same(server.requests, [])
})

void t.test('unchanged files are linked, others come as a delta', async (t) => {
  const server = await ContentServer.start(t, one, two)
  const app = new StagedApp(t.testdir({}), server)
  await app.stage(one)
  server.requests.length = 0
  const staged = await app.stage(two, [one])

  t.same(treeOnDisk(app.path('1.0.1')), expectedTree(two))
  t.same(server.requests, [
    `/v1/trees/${two.tree}/manifest`,
    `/v1/trees/${two.tree}/pack?from=${one.tree}`,
  ])
  t.match(staged.packs, [{ from: one.tree }])
  const inode = (version: string, path: string): number => statSync(app.path(version, path)).ino
  t.equal(inode('1.0.1', 'lib/large.bin'), inode('1.0.0', 'lib/large.bin'), 'the same file')
  t.equal(inode('1.0.1', 'lib/moved.js'), inode('1.0.0', 'lib/same.js'), 'moved, the same file')
  t.not(inode('1.0.1', 'bin/run'), inode('1.0.0', 'bin/run'), 'another mode is another file')
  t.equal(staged.bytes.linked, 400_000 + 22)
  t.equal(staged.bytes.copied, 10)
  t.equal(staged.bytes.written, 13 + 3)
  t.equal(
    statSync(app.path('1.0.0', 'bin/run')).mode & 0o777,
    0o755,
    'the old release is as it was',
  )
  t.same(await app.held(), ['1.0.0', '1.0.1'])
})

void t.test('reuse = "copy" shares no file', async (t) => {
  const server = await ContentServer.start(t, one, two)
  const app = new StagedApp(t.testdir({}), server)
  await app.stage(one)
  const staged = await app.stage(two, [one], { reuse: 'copy' })
  t.equal(staged.bytes.linked, 0)
  t.equal(staged.bytes.copied, 400_000 + 22 + 10)
  t.equal(statSync(app.path('1.0.1', 'lib/large.bin')).nlink, 1)
  t.same(treeOnDisk(app.path('1.0.1')), expectedTree(two))
})

void t.test('two versions with one tree are held apart', async (t) => {
  const twin = { ...one, version: '1.0.0-again' }
  const server = await ContentServer.start(t, one)
  const app = new StagedApp(t.testdir({}), server)
  await app.stage(one)
  server.requests.length = 0
  const staged = await app.stage(twin, [one])
  t.same(staged.packs, [], 'nothing lacks')
  t.same(server.requests, [], 'the manifest is there too')
  t.same(await app.held(), ['1.0.0', '1.0.0-again'])
})

void t.test('a damaged held file is never taken, and told', async (t) => {
  const server = await ContentServer.start(t, one, two)
  const app = new StagedApp(t.testdir({}), server)
  await app.stage(one)
  const path = app.path('1.0.0', 'lib/large.bin')
  const { mtime, atime } = statSync(path)
  const damaged = readFileSync(path)
  damaged[77] = (damaged[77] ?? 0) ^ 1
  writeFileSync(path, damaged)
  utimesSync(path, atime, mtime)

  const staged = await app.stage(two, [one])
  t.same(treeOnDisk(app.path('1.0.1')), expectedTree(two))
  t.same(staged.suspects, [{ version: '1.0.0', path: 'lib/large.bin' }])
  t.same(staged.packs, ['full'], 'the delta would leave out what the damaged file should have been')
  t.match(await deepAttest(app.layout, '1.0.0'), {
    outcome: 'drifted',
    differences: [{ path: 'lib/large.bin', kind: 'content' }],
  })

  t.same(await app.held(), ['1.0.1'], 'what is known to be damaged is held no longer')
  activateVersion(app.layout, '1.0.0')
  t.match(await app.stage(one, [two]), { outcome: 'repaired' })
  t.same(treeOnDisk(app.path('1.0.0')), expectedTree(one))
  t.same(await app.held(), ['1.0.0', '1.0.1'])
})

void t.test('a held file of another owner is copied, and is no drift', async (t) => {
  if (process.geteuid?.() !== 0) {
    t.comment('only root may give a file away: this was not tested')
    return
  }
  const server = await ContentServer.start(t, one, two)
  const app = new StagedApp(t.testdir({}), server)
  await app.stage(one)
  chownSync(app.path('1.0.0', 'lib/large.bin'), 65534, 65534)
  const staged = await app.stage(two, [one])
  t.same(staged.suspects, [])
  t.equal(staged.bytes.copied, 400_000 + 10)
  t.equal(statSync(app.path('1.0.1', 'lib/large.bin')).uid, 0)
  t.same(await app.held(), ['1.0.0', '1.0.1'])
})

void t.test('what stands in the place of a held file is not touched', async (t) => {
  const server = await ContentServer.start(t, one, two)
  const app = new StagedApp(t.testdir({}), server)
  await app.stage(one)
  renameSync(app.path('1.0.0', 'lib/large.bin'), app.path('1.0.0', 'elsewhere'))
  symlinkSync('../elsewhere', app.path('1.0.0', 'lib/large.bin'))
  rmSync(app.path('1.0.0', 'lib/same.js'))
  writeFileSync(app.path('1.0.0', 'lib/same.js'), 'export const same = 1\n')

  const staged = await app.stage(two, [one])
  t.same(treeOnDisk(app.path('1.0.1')), expectedTree(two))
  t.same(staged.suspects.map(({ path }) => path).toSorted(), ['lib/large.bin', 'lib/same.js'])
  t.equal(staged.bytes.linked, 0)
})

void t.test('a held release of which much is gone costs nothing but its files', async (t) => {
  const names = Array.from({ length: 60 }, (_, index) => `lib/${index}.js`)
  const described = Object.fromEntries(names.map((name) => [name, name]))
  const before = releaseOf('before', described)
  const after = releaseOf('after', { ...described, new: 'new' })
  const server = await ContentServer.start(t, before, after)
  const app = new StagedApp(t.testdir({}), server)
  await app.stage(before)
  rmSync(app.path('before', 'lib'), { recursive: true })
  writeFileSync(app.path('before', 'lib'), 'a file where a directory was')

  const staged = await app.stage(after, [before])
  t.match(staged, { outcome: 'staged', bytes: { linked: 0, copied: 0 } })
  t.equal(staged.suspects.length, 20, 'the first of them are named')
  t.same(treeOnDisk(app.path('after')), expectedTree(after))
})

void t.test('the delta is against the held tree that leaves least to fetch', async (t) => {
  const near = releaseOf('1.0.1-near', {
    'new.txt': 'new',
    'lib/large.bin': noise('large', 400_000),
  })
  const far = releaseOf('0.9.0', { 'index.php': '<?php echo 2;' })
  const server = await ContentServer.start(t, near, far, two)
  const app = new StagedApp(t.testdir({}), server)
  await app.stage(near)
  await app.stage(far)
  const staged = await app.stage(two, [far, near])
  t.same(staged.packs, [{ from: near.tree }])
  t.same(treeOnDisk(app.path('1.0.1')), expectedTree(two))
})

void t.test(
  'a delta that the controller cannot make costs a full pack, not the stage',
  async (t) => {
    const server = await ContentServer.start(t, one, two)
    const app = new StagedApp(t.testdir({}), server)
    await app.stage(one)
    server.fault = ({ path, response, answer }) => {
      if (path.includes('?from=')) response.writeHead(404).end()
      else answer()
    }
    t.same((await app.stage(two, [one])).packs, [{ from: one.tree }, 'full'])
    t.same(treeOnDisk(app.path('1.0.1')), expectedTree(two))
  },
)

void t.test('a wrong delta costs a full pack, and what it brought right is kept', async (t) => {
  const server = await ContentServer.start(t, one, two)
  const app = new StagedApp(t.testdir({}), server)
  await app.stage(one)
  const alter = (path: string, content: Buffer): Buffer =>
    path === 'new.txt' ? Buffer.from('NEW') : content
  server.put(`/v1/trees/${two.tree}/pack?from=${one.tree}`, packOf(two, one, { alter }))
  const staged = await app.stage(two, [one])
  t.same(staged.packs, [{ from: one.tree }, 'full'])
  t.same(treeOnDisk(app.path('1.0.1')), expectedTree(two))
})

void t.test('a version occupied by another tree makes way, unless it is what runs', async (t) => {
  const other = releaseOf('1.0.0', { 'index.php': 'published anew elsewhere' })
  const server = await ContentServer.start(t, one, other)
  const app = new StagedApp(t.testdir({}), server)
  await app.stage(one)
  await app.stage(other)
  t.same(treeOnDisk(app.path('1.0.0')), expectedTree(other))
  t.same(await app.held(), ['1.0.0'])
  t.equal(readdirSync(app.layout.trash).length, 1, 'the other is in the trash')

  activateVersion(app.layout, '1.0.0')
  t.equal(await codeOf(app.stage(one)), 'tree-drifted')
  t.same(treeOnDisk(app.path('1.0.0')), expectedTree(other), 'what runs is as it was')
  t.same(await app.held(), ['1.0.0'])

  unlinkSync(app.layout.current)
  symlinkSync('versions/1.0.0/index.php', app.layout.current)
  t.equal(await codeOf(app.stage(one)), 'tree-drifted')
  t.ok(existsSync(app.layout.current), 'a foreign link into it leads there still')
})

void t.test('a version restored without its record is adopted after hashing it', async (t) => {
  const server = await ContentServer.start(t, one)
  const app = new StagedApp(t.testdir({}), server)
  await app.stage(one)
  activateVersion(app.layout, '1.0.0')
  execFileSync('cp', ['-a', app.path('1.0.0'), app.path('copy')])
  rmSync(app.path('1.0.0'), { recursive: true })
  renameSync(app.path('copy'), app.path('1.0.0'))
  t.same(await app.held(), [], 'the inodes are others')
  server.requests.length = 0
  t.match(await app.stage(one), { outcome: 'adopted', packs: [] })
  t.same(server.requests, [])
  t.same(await app.held(), ['1.0.0'])

  chmodSync(app.path('1.0.0'), 0o700)
  t.same(await app.held(), [])
  t.match(
    await app.stage(one),
    { outcome: 'adopted' },
    'the mode of its own directory is put right',
  )
  t.same(await app.held(), ['1.0.0'])
})

void t.test('progress grows to the whole, and a stage can be cancelled', async (t) => {
  const server = await ContentServer.start(t, one)
  const app = new StagedApp(t.testdir({}), server)
  const seen: StageProgress[] = []
  await stageRelease(app.request(one), { onProgress: (progress) => seen.push(progress) })
  t.same([...new Set(seen.map(({ phase }) => phase))], ['reusing', 'fetching', 'finishing'])
  t.match(seen.at(-1), { bytes: 400_069, bytesTotal: 400_069 })

  const cancel = new AbortController()
  server.fault = ({ path, answer }) => {
    if (path.endsWith('/pack')) cancel.abort(new Error('superseded'))
    else answer()
  }
  server.publish(two)
  await t.rejects(stageRelease(app.request(two), { signal: cancel.signal }), {
    message: 'superseded',
  })
  t.same(await app.held(), ['1.0.0'])
  server.fault = null
  t.match(await app.stage(two), { outcome: 'staged' }, 'what is left serves the next stage')
})

void t.test('a manifest on the disk that is damaged is fetched again', async (t) => {
  const server = await ContentServer.start(t, one)
  const app = new StagedApp(t.testdir({}), server)
  writeFileSync(manifestPath(app.layout, one.tree), one.manifest.replace('0644', '0600'))
  await app.stage(one)
  t.same(treeOnDisk(app.path('1.0.0')), expectedTree(one))
  t.equal(readFileSync(manifestPath(app.layout, one.tree), 'utf8'), one.manifest)
})
