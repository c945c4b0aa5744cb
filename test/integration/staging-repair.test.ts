// Repair of the version that runs: file by file, by rename, from what is still right and what has
// to be fetched.

import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { deepAttest } from '#agent/attest/attest-version.ts'
import { activateVersion, observeCurrent } from '#agent/layout/current-link.ts'
import { recordPath } from '#agent/layout/app-layout.ts'
import { ContentServer, type Scope } from './content-server.ts'
import { codeOf, expectedTree, StagedApp, treeOnDisk } from './staged-app.ts'
import { noise, releaseOf } from './test-release.ts'

const release = releaseOf('1', {
  'a/file': noise('a', 50_000),
  'a/closed': { directory: 0o555 },
  'a/closed/deep': 'deep',
  'b': 'b',
  'link': { target: 'b' },
  'tool': { content: 'tool', mode: 0o755 },
})

async function runningApp(t: Scope): Promise<{ app: StagedApp; server: ContentServer }> {
  const server = await ContentServer.start(t, release)
  const app = new StagedApp(t.testdir({}), server)
  await app.stage(release)
  activateVersion(app.layout, '1')
  server.requests.length = 0
  return { app, server }
}

void t.test('what drifted is put right, and what is right stays the file it is', async (t) => {
  const { app } = await runningApp(t)
  const top = app.path('1')
  const kept = statSync(app.path('1', 'tool')).ino
  writeFileSync(app.path('1', 'b'), 'overwritten')
  rmSync(app.path('1', 'a'), { recursive: true })
  symlinkSync('/etc', app.path('1', 'a'))
  unlinkSync(app.path('1', 'link'))
  symlinkSync('/etc/passwd', app.path('1', 'link'))
  writeFileSync(app.path('1', 'cache'), 'of the app')
  chmodSync(top, 0o700)
  t.same(await app.held(), [])

  t.match(await app.stage(release), { outcome: 'repaired' })
  t.equal(readFileSync(app.path('1', 'cache'), 'utf8'), 'of the app', 'what the app wrote stays')
  rmSync(app.path('1', 'cache'))
  t.same(treeOnDisk(top), expectedTree(release))
  t.equal(statSync(top).mode & 0o777, 0o755)
  t.equal(statSync(app.path('1', 'tool')).ino, kept)
  t.match(observeCurrent(app.layout), { kind: 'release', version: '1' })
  t.same(await app.held(), ['1'])
  t.match(await deepAttest(app.layout, '1'), { outcome: 'whole' })
  t.same(app.leftovers(), [])
  t.ok(existsSync('/etc/passwd'), 'what a link led to is untouched')
})

void t.test('a touched file is fetched again, a changed mode is only set', async (t) => {
  const { app, server } = await runningApp(t)
  chmodSync(app.path('1', 'a/closed'), 0o777)
  utimesSync(app.path('1', 'b'), 5, 5)
  const { outcome } = await app.stage(release)
  t.equal(outcome, 'repaired')
  t.same(treeOnDisk(app.path('1')), expectedTree(release))
  t.same(server.requests.filter((path) => path.includes('pack')).length, 1, 'b alone was not sure')
  t.same(await app.held(), ['1'])
})

void t.test('an open file and its hard links keep their old content', async (t) => {
  const { app, server } = await runningApp(t)
  const next = releaseOf('2', { 'b': 'b', 'c': 'c' })
  server.publish(next)
  await app.stage(next, [release])
  t.equal(statSync(app.path('2', 'b')).ino, statSync(app.path('1', 'b')).ino)
  const file = openSync(app.path('1', 'b'), 'r')
  writeFileSync(app.path('1', 'b'), 'X')
  t.same(await app.held(), [], 'both have drifted: they share the file')
  t.match(await app.stage(release), { outcome: 'repaired' })
  const buffer = Buffer.alloc(1)
  readSync(file, buffer)
  closeSync(file)
  t.equal(String(buffer), 'X', 'who had it open goes on with what it had')
  t.equal(readFileSync(app.path('1', 'b'), 'utf8'), 'b')
  t.match(await app.stage(next, [release]), { outcome: 'staged' }, 'the other is built anew')
  t.same(await app.held(), ['1', '2'])
})

void t.test('a directory in the place of a file is somebody’s, and is left to them', async (t) => {
  const { app } = await runningApp(t)
  unlinkSync(app.path('1', 'link'))
  mkdirSync(app.path('1', 'link'))
  writeFileSync(app.path('1', 'link/upload'), 'precious')
  await t.rejects(app.stage(release), { code: 'tree-drifted', message: /link is a directory/ })
  t.equal(readFileSync(app.path('1', 'link/upload'), 'utf8'), 'precious')
  renameSync(app.path('1', 'link'), join(app.layout.root, 'moved'))
  t.match(await app.stage(release), { outcome: 'repaired' })
})

void t.test('a running version without its record is not repaired by guessing', async (t) => {
  const { app, server } = await runningApp(t)
  rmSync(recordPath(app.layout, '1'))
  writeFileSync(app.path('1', 'b'), 'other')
  t.equal(await codeOf(app.stage(release)), 'tree-drifted')
  t.same(server.requests, [], 'and nothing is fetched for it')
  writeFileSync(app.path('1', 'b'), 'b')
  t.match(await app.stage(release), { outcome: 'adopted' })
})

void t.test('what runs keeps the shared paths that it was built with', async (t) => {
  const { app } = await runningApp(t)
  app.sharedPaths = [{ path: 'a', type: 'directory' }]
  t.match(await app.stage(release), { outcome: 'held' })
  writeFileSync(app.path('1', 'b'), 'drifted')
  t.match(await app.stage(release), { outcome: 'repaired' })
  t.same(treeOnDisk(app.path('1')), expectedTree(release))
  t.same(readdirSync(app.layout.shared), [])
})
