// Shared paths: what outlives releases is linked into each, left out of the build, seeded once and
// never touched again.

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { deepAttest } from '#agent/attest/attest-version.ts'
import { quickAttest } from '#agent/attest/quick-attest.ts'
import { activateVersion } from '#agent/layout/current-link.ts'
import { ContentServer, type Scope } from './content-server.ts'
import { codeOf, StagedApp, treeOnDisk } from './staged-app.ts'
import { releaseOf } from './test-release.ts'

const one = releaseOf('1', {
  '.env': 'from the release',
  'app.php': '1',
  'storage/logs/.keep': '',
  'storage/readme': { content: 'seeded', mode: 0o600 },
  'storage/link': { target: 'readme' },
})
const two = releaseOf('2', { 'app.php': '2', 'storage/readme': 'not seeded again' })
const memory = '/dev/shm'
const hasOtherFileSystem = existsSync(memory) && statSync(memory).dev !== statSync('.').dev

async function appWith(
  t: Scope,
  ...shared: string[]
): Promise<{ app: StagedApp; server: ContentServer }> {
  const server = await ContentServer.start(t, one, two)
  const app = new StagedApp(t.testdir({}), server)
  app.sharedPaths = shared.map((path) =>
    path.endsWith('/') ? { path: path.slice(0, -1), type: 'directory' } : { path, type: 'file' },
  )
  return { app, server }
}

void t.test('a shared file is linked in, in the place of what the release has', async (t) => {
  const { app } = await appWith(t, '.env', 'config/deep/local.php')
  mkdirSync(join(app.layout.shared, 'config/deep'), { recursive: true })
  writeFileSync(join(app.layout.shared, '.env'), 'from the host')
  writeFileSync(join(app.layout.shared, 'config/deep/local.php'), 'local')
  const staged = await app.stage(one)
  activateVersion(app.layout, '1')

  t.equal(readlinkSync(app.path('1', '.env')), '../../shared/.env')
  t.equal(readFileSync(join(app.layout.current, '.env'), 'utf8'), 'from the host')
  t.equal(readFileSync(join(app.layout.current, 'config/deep/local.php'), 'utf8'), 'local')
  t.match(staged, { leftOutCount: 1, leftOut: ['.env'], seeded: [] })
  t.match(await quickAttest(app.layout, '1'), { outcome: 'whole', extras: [] })
  t.match(await deepAttest(app.layout, '1'), { outcome: 'whole', extras: [] })

  writeFileSync(join(app.layout.shared, '.env'), 'changed by its owner')
  t.match(await deepAttest(app.layout, '1'), { outcome: 'whole' }, 'what is shared is no drift')
})

void t.test('a missing shared file is not ready, before a byte is fetched', async (t) => {
  const { app, server } = await appWith(t, '.env')
  await t.rejects(app.stage(one), {
    code: 'shared-missing',
    message: `${join(app.layout.shared, '.env')} does not exist`,
  })
  t.same(server.requests, [])
  t.same(app.leftovers(), [])
  symlinkSync('/etc/hostname', join(app.layout.shared, '.env'))
  t.match(await app.stage(one), { outcome: 'staged' }, 'a link to a file will do')
})

void t.test(
  'a shared directory is seeded once, whole, with nothing linked to a release',
  async (t) => {
    const { app } = await appWith(t, 'storage/', 'var/cache/')
    const staged = await app.stage(one)
    t.same(staged.seeded.toSorted(), ['storage', 'var/cache'])
    t.match(staged.leftOut, ['storage', 'storage/link', 'storage/logs'])
    t.same(treeOnDisk(app.layout.shared), [
      'd 755 storage',
      'd 755 storage/logs',
      'd 755 var',
      'd 755 var/cache',
      `f 600 6 ${[...one.contents].find(([, bytes]) => String(bytes) === 'seeded')?.[0]} storage/readme`,
      'f 644 0 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 storage/logs/.keep',
      'l storage/link -> readme',
    ])
    t.equal(readlinkSync(app.path('1', 'var/cache')), '../../../shared/var/cache')
    t.equal(statSync(join(app.layout.shared, 'storage/readme')).nlink, 1)
    t.same(app.leftovers(), [])

    writeFileSync(join(app.layout.shared, 'storage/readme'), 'written by the app')
    t.same((await app.stage(two, [one])).seeded, [])
    t.equal(readFileSync(app.path('2', 'storage/readme'), 'utf8'), 'written by the app')
  },
)

void t.test('shared directories deep in a release are seeded too', async (t) => {
  const { app, server } = await appWith(t, 'public/files/', 'public/images/', 'var/lib/app/')
  const deep = releaseOf('deep', {
    'public/files/a': 'a',
    'public/images/large/b': 'b',
    'public/index': 'index',
  })
  server.publish(deep)
  t.match(await app.stage(deep), {
    outcome: 'staged',
    seeded: ['public/files', 'public/images', 'var/lib/app'],
  })
  t.same(readdirSync(app.layout.shared, { recursive: true, encoding: 'utf8' }).toSorted(), [
    'public',
    'public/files',
    'public/files/a',
    'public/images',
    'public/images/large',
    'public/images/large/b',
    'var',
    'var/lib',
    'var/lib/app',
  ])
  t.same(app.leftovers(), [])
})

void t.test(
  'shared/ may be on another file system',
  { skip: hasOtherFileSystem ? false : `${memory} is no other file system here` },
  async (t) => {
    const { app } = await appWith(t, 'storage/')
    const elsewhere = mkdtempSync(join(memory, 'lockstep-shared-'))
    t.teardown(() => rmSync(elsewhere, { recursive: true }))
    rmSync(app.layout.shared, { recursive: true })
    symlinkSync(elsewhere, app.layout.shared)
    mkdirSync(join(elsewhere, '.new-storage/half'), { recursive: true })
    t.match(await app.stage(one), { outcome: 'staged', seeded: ['storage'] })
    t.same(readdirSync(elsewhere, { recursive: true, encoding: 'utf8' }).toSorted(), [
      'storage',
      'storage/link',
      'storage/logs',
      'storage/logs/.keep',
      'storage/readme',
    ])
    t.equal(readFileSync(app.path('1', 'storage/link'), 'utf8'), 'seeded')
  },
)

void t.test('what is no directory in the release seeds none', async (t) => {
  const { app, server } = await appWith(t, 'storage/', 'cache/')
  const odd = releaseOf('odd', { storage: 'a file', cache: { target: '.' } })
  server.publish(odd)
  t.match(await app.stage(odd), { seeded: ['storage', 'cache'], leftOut: ['cache', 'storage'] })
  t.same(treeOnDisk(app.layout.shared), ['d 755 cache', 'd 755 storage'])
  t.match(await app.stage(odd), { outcome: 'held' })
})

void t.test(
  'a seed takes its content from a held release by a copy, never by a link',
  async (t) => {
    const { app, server } = await appWith(t)
    await app.stage(one)
    app.sharedPaths = [{ path: 'storage', type: 'directory' }]
    server.requests.length = 0
    const again = { ...one, version: '1-shared' }
    const staged = await app.stage(again, [one])
    t.same(staged.seeded, ['storage'])
    t.same(server.requests, [], 'everything was there')
    t.equal(statSync(join(app.layout.shared, 'storage/readme')).nlink, 1)
    t.equal(statSync(app.path('1', 'storage/readme')).nlink, 1)
  },
)

void t.test('a seed that a held tree has but left out is fetched', async (t) => {
  const { app, server } = await appWith(t, 'storage/')
  await app.stage(one)
  rmSync(join(app.layout.shared, 'storage'), { recursive: true })
  const three = releaseOf('3', {
    'app.php': '1',
    'storage/readme': { content: 'seeded', mode: 0o600 },
  })
  server.publish(three)
  const staged = await app.stage(three, [one])
  t.same(staged.packs, ['full'], 'the delta would leave it out')
  t.equal(readFileSync(join(app.layout.shared, 'storage/readme'), 'utf8'), 'seeded')
})

void t.test('what is of another kind than configured is said', async (t) => {
  const { app } = await appWith(t, 'storage')
  mkdirSync(join(app.layout.shared, 'storage'))
  await t.rejects(app.stage(one), { code: 'shared-missing', message: /storage is a directory/ })
  const other = await appWith(t, '.env/')
  writeFileSync(join(other.app.layout.shared, '.env'), '')
  await t.rejects(other.app.stage(one), { code: 'shared-missing', message: /is no directory/ })
})

void t.test('a shared path below a file of the release is refused', async (t) => {
  const { app } = await appWith(t, 'app.php/x/')
  t.equal(await codeOf(app.stage(one)), 'bad-configuration')
  t.same(readdirSync(app.layout.shared), [])
})

void t.test(
  'another list of shared paths builds a version anew, unless it is what runs',
  async (t) => {
    const { app } = await appWith(t)
    await app.stage(one)
    await app.stage(two)
    activateVersion(app.layout, '2')
    app.sharedPaths = [{ path: 'storage', type: 'directory' }]
    t.match(await app.stage(one, [two]), { outcome: 'staged' })
    t.equal(readlinkSync(app.path('1', 'storage')), '../../shared/storage')
    t.match(await app.stage(two, [one]), { outcome: 'held' })
    t.ok(existsSync(app.path('2', 'storage/readme')))
    t.same(await app.held(), ['1', '2'])
  },
)
