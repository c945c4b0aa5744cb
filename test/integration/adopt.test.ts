// Adopting: a tree of another tool is taken over in place while four processes read through `current`
// without a pause, up to the first rollout and back. No read may fail.

import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { monotonicClock } from '#agent/adapters/monotonic-clock.ts'
import { adopt } from '#agent/adopt/adopt.ts'
import { findExchange, ways } from '#agent/adopt/exchange.ts'
import { AppDisk } from '#agent/app-disk.ts'
import { parseAgentConfig } from '#agent/config.ts'
import type { AppConfig } from '#agent/config.ts'
import { layoutOf } from '#agent/layout/app-layout.ts'
import type { LockstepError } from '#shared/errors.ts'
import { noTrust } from '../support/no-trust.ts'
import { whoOfOursUses } from './clean-up-facts.ts'
import { ContentServer, token } from './content-server.ts'
import { readerCount, Readers } from './swap-readers.ts'
import { releaseOf } from './test-release.ts'

t.setTimeout(120_000)

const now = Date.UTC(2026, 10, 23, 12)
const adopted = 'adopted-20261123T120000Z'
const wishes = { dryRun: false, acceptGap: false, chown: false }
const context = { account: null, uid: process.geteuid?.() ?? 0, now }
const noWay = async () => null

function appOf(root: string, shared: readonly string[] = []): AppConfig {
  const text = `controller = "https://a.example"
[apps.shop]
environment = "production"
root = ${JSON.stringify(root)}
shared = ${JSON.stringify(shared)}
keep = 1
drain = "0s"
`
  const [app] = parseAgentConfig(text, { file: 'agent.toml', hostname: 'web-1' }).apps
  if (app === undefined) throw new Error('no app')
  return app
}

/** As Capistrano leaves it: absolute links, two releases, linked files and directories. */
function capistrano(t: Test): string {
  const root = t.testdir({
    'releases': {
      20261119101500: { marker: 'older' },
      20261120101500: { marker: 'capistrano', config: {}, public: {} },
    },
    'shared': { '.env': 'KEY=1', 'config': { 'master.key': 'k' }, 'storage': { a: 'upload' } },
    'repo': {},
    'revisions.log': '',
  })
  const release = join(root, 'releases/20261120101500')
  for (const path of ['.env', 'config/master.key', 'storage']) {
    symlinkSync(join(root, 'shared', path), join(release, path))
  }
  symlinkSync(release, join(root, 'current'))
  return root
}

function plainDirectory(t: Test): string {
  return t.testdir({ current: { marker: 'by hand', sub: { file: 'x' } } })
}

/** Everything below a root, with where links lead: to see what was changed. */
function everything(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .map((path) => {
      const stats = lstatSync(join(root, path))
      return stats.isSymbolicLink() ? `${path} -> ${readlinkSync(join(root, path))}` : path
    })
    .toSorted()
}

async function refused(root: string, changes: object = {}): Promise<LockstepError> {
  const before = everything(root)
  try {
    await adopt(appOf(root), { ...wishes, ...changes }, { ...context, findExchange: noWay })
  } catch (error) {
    const after = everything(root).filter((path) => !/^(\.lockstep|versions|shared)/.test(path))
    const old = before.filter((path) => !/^(\.lockstep|versions|shared)/.test(path))
    if (JSON.stringify(after) !== JSON.stringify(old)) throw new Error('it changed something')
    return error as LockstepError
  }
  throw new Error('it was not refused')
}

const first = releaseOf('1.0.0', { marker: 'lockstep 1', config: { directory: 0o755 } })
const second = releaseOf('1.1.0', { marker: 'lockstep 2' })

async function openDisk(t: Test, root: string): Promise<AppDisk> {
  const server = await ContentServer.start(t, first, second)
  const app = appOf(root, ['.env', 'config/master.key', 'storage/'])
  return AppDisk.open(
    layoutOf(root),
    app,
    {
      controllerUrl: server.url,
      redirects: [],
      tls: () => ({}),
      contentToken: () => token,
      groupId: null,
      clock: monotonicClock,
      trust: noTrust,
      whoUses: whoOfOursUses,
      onStaged: () => undefined,
      onDrift: (version) => t.fail(`${version} drifted`),
      onRemoved: () => undefined,
      onProblem: (_doing, error) => t.fail(error.message),
      onFault: (_doing, error) => t.fail(String(error)),
    },
    [],
  )
}

void t.test(
  'a Capistrano tree is adopted, deployed over and gone back to, read by all',
  async (t) => {
    const root = capistrano(t)
    const before = readlinkSync(join(root, 'current'))
    const releases = everything(join(root, 'releases'))
    const readers = await Readers.start(t, join(root, 'current'))
    const report = await adopt(appOf(root), wishes, context)
    await readers.readOn()
    t.match(report, { found: 'capistrano', current: before, gapMs: null })
    t.equal(report.sharedLine, 'shared = [".env", "config/master.key", "storage/"]')
    t.equal(readlinkSync(join(root, 'current')), before, 'nothing moves before the first rollout')

    const disk = await openDisk(t, root)
    t.match(await disk.observeCurrent(), { kind: 'foreign', link: before })
    const staging = {
      signal: new AbortController().signal,
      onProgress: () => undefined,
      isSettled: false,
    }
    for (const release of [first, second]) {
      t.same(await disk.stage(release, staging), { kind: 'staged' })
      t.match(disk.swap({ kind: 'release', release }), { kind: 'swapped' })
      await readers.readOn()
      await disk.cleanUp(() => [release.tree], [release])
    }
    t.equal(readFileSync(join(root, 'current/.env'), 'utf8'), 'KEY=1')
    t.equal(readFileSync(join(root, 'current/storage/a'), 'utf8'), 'upload')
    t.match(disk.swap({ kind: 'link', link: before }), { kind: 'swapped' })
    await readers.readOn()
    await readers.stop()
    await disk.cleanUp(() => [], [second, first])

    const { reads, failures, seen, firstFailure } = readers.outcome
    t.comment(`${reads} reads by ${readerCount} processes, ${failures} failed`)
    t.equal(failures, 0, firstFailure ?? 'no read failed')
    t.same(seen, ['capistrano', 'lockstep 1', 'lockstep 2'])
    t.equal(readlinkSync(join(root, 'current')), before, 'Capistrano’s release runs again')
    t.same(
      everything(join(root, 'releases')),
      releases,
      'clean-up touches no release of another tool',
    )
  },
)

void t.test('a real directory becomes a release behind a link without a gap', async (t) => {
  const root = plainDirectory(t)
  const inode = statSync(join(root, 'current')).ino
  const readers = await Readers.start(t, join(root, 'current'))
  const report = await adopt(appOf(root), wishes, context)
  await readers.readOn()
  await readers.stop()
  const { reads, failures, firstFailure } = readers.outcome
  t.comment(
    `${reads} reads by ${readerCount} processes, ${failures} failed; ${report.steps.at(-1)}`,
  )
  t.equal(failures, 0, firstFailure ?? 'no read failed')
  t.match(report, { found: 'directory', current: `versions/${adopted}`, gapMs: null })
  t.equal(readlinkSync(join(root, 'current')), `versions/${adopted}`)
  t.equal(statSync(join(root, 'versions', adopted)).ino, inode, 'moved, not copied')
  t.same(readdirSync(join(root, 'versions')), [adopted])

  const disk = await openDisk(t, root)
  rmSync(join(root, 'shared'), { recursive: true })
  mkdirSync(join(root, 'shared/config'), { recursive: true })
  for (const file of ['.env', 'config/master.key']) writeFileSync(join(root, 'shared', file), '')
  const staging = {
    signal: new AbortController().signal,
    onProgress: () => undefined,
    isSettled: false,
  }
  t.same(await disk.stage(first, staging), { kind: 'staged' })
  t.match(disk.swap({ kind: 'release', release: first }), { kind: 'swapped' })
  await disk.cleanUp(() => [first.tree], [first])
  t.ok(existsSync(join(root, 'versions', adopted)), 'clean-up leaves what it did not stage')
  t.match(disk.swap({ kind: 'link', link: `versions/${adopted}` }), { kind: 'swapped' })
  t.equal(readFileSync(join(root, 'current/marker'), 'utf8'), 'by hand')
})

void t.test('every way of exchanging that is here works', async (t) => {
  const found: string[] = []
  for (const way of ways()) {
    const one = await findExchange(t.testdir({}), [way])
    if (one !== null) found.push(one.name)
  }
  t.comment(`on this machine: ${found.join(', ')}`)
  t.ok(found.length > 0)
  t.same(readdirSync(t.testdirName), [], 'nothing is left of the trial')
  t.same(ways('riscv64').length, 1, 'without the number of the system call there is mv only')
})

void t.test('without an exchange a gap has to be accepted, and is measured', async (t) => {
  const error = await refused(plainDirectory(t))
  t.match(error, { code: 'not-adoptable', hint: /perl.*--accept-gap/ })
  const root = plainDirectory(t)
  const readers = await Readers.start(t, join(root, 'current'))
  const report = await adopt(
    appOf(root),
    { ...wishes, acceptGap: true },
    { ...context, findExchange: noWay },
  )
  await readers.readOn()
  await readers.stop()
  const { reads, failures } = readers.outcome
  t.comment(`no current for ${report.gapMs?.toFixed(3)} ms; ${failures} of ${reads} reads failed`)
  t.ok((report.gapMs ?? 0) > 0)
  t.match(report.steps.at(-1), /there was no current for [0-9.]+ ms/)
  t.equal(readFileSync(join(root, 'current/marker'), 'utf8'), 'by hand')
})

void t.test('an exchange that does nothing leaves everything as it was', async (t) => {
  const root = plainDirectory(t)
  const findBroken = async () => ({ name: 'broken', exchange: async () => 'EBUSY' })
  await t.rejects(adopt(appOf(root), wishes, { ...context, findExchange: findBroken }), {
    code: 'not-adoptable',
    message: /EBUSY/,
  })
  t.ok(lstatSync(join(root, 'current')).isDirectory())
  t.same(readdirSync(join(root, 'versions')), [])
})

void t.test('adopting again changes nothing, and completes what was cut off', async (t) => {
  for (const make of [capistrano, plainDirectory]) {
    const root = make(t)
    await adopt(appOf(root), wishes, context)
    const before = everything(root)
    const again = await adopt(appOf(root), wishes, context)
    t.same(again.steps, [])
    t.same(everything(root), before)
  }
  const root = plainDirectory(t)
  mkdirSync(join(root, 'versions'))
  symlinkSync(`versions/${adopted}`, join(root, 'versions', adopted))
  await adopt(appOf(root), wishes, context)
  t.equal(readFileSync(join(root, 'current/marker'), 'utf8'), 'by hand', 'after half an exchange')
  rmSync(join(root, 'current'))
  const completed = await adopt(appOf(root), wishes, context)
  t.match(completed, { found: 'directory', current: `versions/${adopted}` })
  t.equal(readFileSync(join(root, 'current/marker'), 'utf8'), 'by hand', 'after half a gap')
})

void t.test('a dry run says all of it and changes nothing', async (t) => {
  for (const make of [capistrano, plainDirectory]) {
    const root = make(t)
    const before = everything(root)
    const report = await adopt(appOf(root), { ...wishes, dryRun: true }, context)
    t.ok(report.steps.length > 0)
    t.same(everything(root), before)
  }
})

void t.test('what it does not understand it refuses', async (t) => {
  t.match(await refused(t.testdir({})), { message: /there is no .*current/ })
  await t.rejects(adopt(appOf(join(t.testdirName, 'nowhere')), wishes, context), {
    message: /is no directory/,
  })
  const dangling = t.testdir({})
  symlinkSync('releases/1', join(dangling, 'current'))
  t.match(await refused(dangling), { message: /leads to releases\/1, which is no directory/ })
  const file = t.testdir({ current: 'a file' })
  t.match(await refused(file), { message: /neither a link nor a directory/ })
  const strange = t.testdir({ current: {}, versions: { 7: {} } })
  t.match(await refused(strange), { message: /holds 7, which Lockstep did not make/ })
  const busy = t.testdir({ '.dep': { 'deploy.lock': 'ci' }, 'releases': { 5: {} } })
  symlinkSync('releases/5', join(busy, 'current'))
  t.match(await refused(busy), { message: /deployment is under way/ })
  rmSync(join(busy, '.dep/deploy.lock'))
  const report = await adopt(appOf(busy), wishes, context)
  t.match(report, { found: 'deployer', current: 'releases/5' })
  t.match(await refused(t.testdir({ current: {} }), { chown: true }), {
    code: context.uid === 0 ? 'not-adoptable' : 'not-root',
  })
})

void t.test('shared paths that Lockstep would not link by themselves are named', async (t) => {
  const root = t.testdir({
    releases: { 5: { public: {}, deep: { er: {} } } },
    shared: { storage: {}, uploads: {}, known: {} },
  })
  const release = join(root, 'releases/5')
  symlinkSync('releases/5', join(root, 'current'))
  symlinkSync('../../../shared/uploads', join(release, 'public/media'))
  symlinkSync('../../shared/gone.yml', join(release, 'gone.yml'))
  symlinkSync('../../shared/storage', join(release, 'storage'))
  symlinkSync('../../shared/known', join(release, 'known'))
  symlinkSync('/etc', join(release, 'elsewhere'))
  symlinkSync('../../..', join(release, 'deep/up'))
  const report = await adopt(appOf(root, ['known/']), wishes, context)
  t.equal(report.sharedLine, 'shared = ["known/", "storage/"]')
  t.match(report.todo.join('\n'), /public.media leads to shared.uploads; Lockstep links/)
  t.match(report.todo.join('\n'), /gone.yml leads to shared.gone.yml, which is not there/)
  t.match(report.shared, [
    { path: 'gone.yml', type: 'missing' },
    { path: 'known', type: 'directory' },
    { path: 'public/media', target: 'uploads' },
    { path: 'storage' },
  ])
  t.equal(report.found, 'releases', 'releases that nobody known here made')
})

void t.test('what the agent cannot write in is named, and handed over by root', async (t) => {
  const account = { uid: 65534, gid: 65534 }
  const root = capistrano(t)
  if (context.uid !== 0) {
    const report = await adopt(appOf(root), wishes, { ...context, account })
    t.match(report.todo.join('\n'), /let the agent’s user \(65534\) write in/)
    return
  }
  const first_ = await adopt(appOf(root), wishes, { ...context, account })
  t.match(first_.todo.join('\n'), /write in .*, .*shared: run this again as root with --chown/)
  t.equal(statSync(join(root, '.lockstep')).uid, account.uid, 'what was made is the agent’s')
  const report = await adopt(appOf(root), { ...wishes, chown: true }, { ...context, account })
  t.match(report.steps, [/^handed .* over to user 65534$/])
  for (const path of ['', 'shared', 'versions'])
    t.equal(statSync(join(root, path)).uid, account.uid)
  for (const path of ['releases', 'shared/storage', 'repo']) {
    t.equal(statSync(join(root, path)).uid, 0, `${path} stays its owner’s`)
  }
})
