// Clean-up on a real disk: what nothing needs goes, what something needs stays, and a removal that
// fails is told.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs, {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { basename, join } from 'node:path'
import t from 'tap'
import { monotonicClock } from '#agent/adapters/monotonic-clock.ts'
import { AppDisk } from '#agent/app-disk.ts'
import { heldReleases } from '#agent/attest/held-releases.ts'
import { clearLeftovers, pruneReleases } from '#agent/layout/clean-up.ts'
import { activateVersion } from '#agent/layout/current-link.ts'
import { findUsage } from '#agent/layout/in-use.ts'
import { emptyTrash, moveToTrash } from '#agent/layout/trash.ts'
import { manifestPath, prepareLayout, recordPath, stagePath } from '#agent/layout/app-layout.ts'
import { noTrust } from '../support/no-trust.ts'
import { atOnce, whoOfOursUses } from './clean-up-facts.ts'
import { ContentServer, type Scope } from './content-server.ts'
import { StagedApp } from './staged-app.ts'
import { releaseOf, type TestRelease } from './test-release.ts'

const releases = ['1', '2', '3', '4'].map((version) =>
  releaseOf(version, {
    'index.php': version,
    'same': 'same',
    'closed/file': 'x',
    'closed': { directory: 0o555 },
  }),
)
const [one, two, three, four] = releases as [TestRelease, TestRelease, TestRelease, TestRelease]
const newestFirst = releases.toReversed()
const canMount = spawnSync('unshare', ['--mount', 'true']).status === 0

async function appWithAll(t: Scope): Promise<StagedApp> {
  const server = await ContentServer.start(t, ...releases)
  const app = new StagedApp(t.testdir({}), server)
  for (const [index, release] of releases.entries()) {
    await app.stage(release, releases.slice(0, index))
  }
  activateVersion(app.layout, '4')
  return app
}

/** A process that uses `path` in some way until the test ends. */
async function processThatUses(t: Scope, how: 'cwd' | 'file', path: string): Promise<number> {
  const child =
    how === 'cwd'
      ? spawn('sh', ['-c', 'echo here; exec sleep 1000'], { cwd: path })
      : spawn('sh', ['-c', 'exec 3<"$0"; echo here; exec sleep 1000', path])
  t.teardown(async () => {
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  await once(child.stdout, 'data')
  return child.pid ?? 0
}

void t.test('releases beyond the newest activations go, with everything of theirs', async (t) => {
  const app = await appWithAll(t)
  const result = await pruneReleases(app.layout, {
    ...atOnce(app.layout),
    held: releases,
    keep: 2,
    history: newestFirst,
    pinned: () => [four.tree],
  })
  t.match(result, { removed: [one, two].map(({ version, tree }) => ({ version, tree })) })
  t.same(result.leftovers, [])
  t.same(await app.held(), ['3', '4'])
  t.same(readdirSync(app.layout.versions).toSorted(), ['3', '4'])
  t.same(readdirSync(app.layout.records).toSorted(), ['3', '4'])
  t.same(readdirSync(app.layout.manifests).toSorted(), [three.tree, four.tree].toSorted())
  t.same(readdirSync(app.layout.trash), [])
})

void t.test(
  'a power loss finds no link to what is removed, and no release half known',
  async (t) => {
    const app = await appWithAll(t)
    const operations: string[] = []
    const { fsyncSync, renameSync: rename } = fs
    fs.fsyncSync = (descriptor) => {
      operations.push(`sync ${basename(readlinkSync(`/proc/self/fd/${descriptor}`))}`)
      fsyncSync(descriptor)
    }
    fs.renameSync = (from, to) => {
      operations.push(`move ${basename(String(from))}`)
      rename(from, to)
    }
    syncBuiltinESMExports()
    t.teardown(() => {
      Object.assign(fs, { fsyncSync, renameSync: rename })
      syncBuiltinESMExports()
    })
    await heldReleases(app.layout)
    t.same(operations, ['sync versions'], 'what counts as held is durable')
    operations.length = 0
    await pruneReleases(app.layout, {
      ...atOnce(app.layout),
      held: releases,
      keep: 3,
      history: newestFirst,
      pinned: () => [],
    })
    t.same(operations.slice(-2), [`sync ${basename(app.layout.root)}`, 'move 1'])
  },
)

void t.test('an unfinished stage goes when nothing will take it up', async (t) => {
  const app = await appWithAll(t)
  for (const tree of ['a', 'b']) mkdirSync(stagePath(app.layout, tree.repeat(64)))
  await pruneReleases(app.layout, {
    ...atOnce(app.layout),
    held: releases,
    keep: 5,
    history: newestFirst,
    pinned: () => ['a'.repeat(64)],
  })
  t.same(app.leftovers(), [`stage-${'a'.repeat(64)}`])
})

void t.test('what runs is never removed, whatever the history says', async (t) => {
  const app = await appWithAll(t)
  activateVersion(app.layout, '1')
  const { removed } = await pruneReleases(app.layout, {
    ...atOnce(app.layout),
    held: releases,
    keep: 1,
    history: newestFirst,
    pinned: () => [],
  })
  t.same(
    removed.map(({ version }) => version),
    ['2', '3'],
  )
  t.same(await app.held(), ['1', '4'])
})

void t.test('what a foreign link leads into is never removed', async (t) => {
  const app = await appWithAll(t)
  for (const [link, kept] of [
    ['versions/1/closed', '1'],
    ['versions/2/index.php', '2'],
    ['other', '3'],
  ] as const) {
    unlinkSync(app.layout.current)
    symlinkSync(link, app.layout.current)
    if (link === 'other') symlinkSync('versions/3/closed', join(app.layout.root, 'other'))
    await pruneReleases(app.layout, {
      ...atOnce(app.layout),
      held: releases.filter(({ version }) => version === kept),
      keep: 1,
      history: [four],
      pinned: () => [],
    })
    t.ok(existsSync(app.layout.current), `${link} still leads somewhere`)
  }
})

void t.test('what a live process uses is never removed', async (t) => {
  const app = await appWithAll(t)
  const pid = await processThatUses(t, 'cwd', app.path('1', 'closed'))
  await processThatUses(t, 'file', app.path('2', 'index.php'))
  const { users } = await findUsage([app.path('1'), app.path('2'), app.path('3')])
  t.match(users.get(app.path('1')), { pid, how: 'cwd' })
  t.match(users.get(app.path('2')), { how: 'an open file' })
  t.notOk(users.has(app.path('3')))
  const { removed, kept } = await pruneReleases(app.layout, {
    ...atOnce(app.layout),
    held: releases,
    keep: 1,
    history: newestFirst,
    pinned: () => [],
  })
  t.same(
    removed.map(({ version }) => version),
    ['3'],
  )
  t.match(
    kept.filter(({ reason }) => reason === 'in-use').map(({ release }) => release.version),
    ['2', '1'],
  )
})

void t.test(
  'what is mounted inside a release is never deleted with it',
  { skip: canMount ? false : 'this user cannot mount' },
  async (t) => {
    const app = await appWithAll(t)
    const data = join(app.layout.root, 'data')
    mkdirSync(data)
    writeFileSync(join(data, 'precious'), 'of somebody else')
    for (const version of ['1', '2']) {
      chmodSync(app.path(version, 'closed'), 0o755)
      mkdirSync(app.path(version, 'closed/mounted'))
    }
    const place = moveToTrash(app.layout, app.path('2'))
    // In a mount namespace of its own, which ends with the process and all mounts in it.
    const module = (path: string): string =>
      JSON.stringify(new URL(`../${path}`, import.meta.url).href)
    const script = `const { pruneReleases } = await import(${module('../agent/layout/clean-up.ts')})
      const { atOnce } = await import(${module('integration/clean-up-facts.ts')})
      const [layout, releases] = JSON.parse(process.argv[1])
      const result = await pruneReleases(layout, { ...atOnce(layout),
        held: releases, keep: 1, history: releases.toReversed(), pinned: () => [] })
      console.log(JSON.stringify(result))`
    const child = spawn('unshare', [
      '--mount',
      'sh',
      '-ec',
      'mount --bind "$0" "$1"; mount --bind "$0" "$2"; shift 2; exec "$@"',
      data,
      app.path('1', 'closed/mounted'),
      join(place, 'closed/mounted'),
      process.execPath,
      '--input-type=module',
      '-e',
      script,
      JSON.stringify([app.layout, [one, three, four]]),
    ])
    const [output] = (await once(child.stdout, 'data')) as [Buffer]
    await once(child, 'exit')
    t.match(JSON.parse(String(output)), {
      removed: [{ version: '3' }],
      kept: [{ reason: 'recent' }, { release: { version: '1' }, reason: 'in-use' }],
      leftovers: [{ path: place, reason: 'in-use' }],
    })
    t.ok(existsSync(join(data, 'precious')))
  },
)

/** What its configuration says when it says next to nothing. */
const bareApp = {
  app: 'shop',
  environment: 'production',
  keep: 2,
  shared: [],
  reload: [],
  restart: [],
  opcache: null,
  hooks: {},
  once: null,
  health: null,
  drainMs: 0,
  drift: 'repair',
  group: null,
  commands: {},
} as const

void t.test('a release that drifted goes in its turn, after a restart too', async (t) => {
  const app = await appWithAll(t)
  for (const version of ['1', '3']) writeFileSync(app.path(version, 'index.php'), 'changed')
  const { root } = app.layout
  const ignore = (): void => undefined
  const disk = await AppDisk.open(
    app.layout,
    {
      ...bareApp,
      root,
    },
    {
      controllerUrl: '',
      redirects: [],
      tls: () => ({}),
      contentToken: () => null,
      groupId: null,
      clock: monotonicClock,
      trust: noTrust,
      whoUses: whoOfOursUses,
      onStaged: ignore,
      onDrift: ignore,
      onRemoved: ignore,
      onProblem: (_doing, error) => t.fail(error.message),
      onFault: (_doing, error) => t.fail(String(error)),
    },
    [],
  )
  const held = (): string[] => disk.held().map(({ version }) => version)
  t.same(held().toSorted(), ['2', '4'])
  await disk.cleanUp(() => [four.tree], newestFirst)
  t.same(readdirSync(app.layout.versions).toSorted(), ['3', '4'])
  t.same(held(), ['4'])
})

void t.test('trash that a live process still uses waits', async (t) => {
  const app = await appWithAll(t)
  await processThatUses(t, 'cwd', app.path('1'))
  const place = moveToTrash(app.layout, app.path('1'))
  moveToTrash(app.layout, app.path('2'))
  t.same(await emptyTrash(app.layout, whoOfOursUses), [{ path: place, reason: 'in-use' }])
  t.same(readdirSync(app.layout.trash).length, 1)
})

void t.test('a process in a version of a like name is in another version', async (t) => {
  const directory = t.testdir({})
  mkdirSync(join(directory, '1.0'))
  mkdirSync(join(directory, '1.0.1'))
  await processThatUses(t, 'cwd', join(directory, '1.0.1'))
  const { users } = await findUsage([join(directory, '1.0')])
  t.equal(users.size, 0, '1.0.1 is not below 1.0')
})

void t.test('every way in which a process can use a path is seen', async (t) => {
  const procfs = t.testdir({})
  mkdirSync(join(procfs, '7/fd'), { recursive: true })
  writeFileSync(join(procfs, '7/maps'), '7f00-7f01 r--p 0 fe:00 12   /srv/versions/2/lib.so\n')
  symlinkSync('/srv/versions/1', join(procfs, '7/root'))
  symlinkSync('/srv/versions/3/bin/app (deleted)', join(procfs, '7/exe'))
  symlinkSync('/srv/versions/4/log', join(procfs, '7/fd/3'))
  symlinkSync('socket:[1]', join(procfs, '7/fd/4'))
  mkdirSync(join(procfs, 'self'))
  const mount = '/srv/versions/6/a\\040mount\\134point'
  writeFileSync(join(procfs, 'self/mountinfo'), `30 1 0:25 / ${mount} rw - tmpfs tmpfs rw\n`)
  const versions = ['1', '2', '3', '4', '5', '6/a mount\\point', '6/a'].map(
    (version) => `/srv/versions/${version}`,
  )
  const { users, unseenCount } = await findUsage(versions, procfs)
  const seen = [...users].map(([path, { pid, how }]) => `${path} ${pid} ${how}`)
  t.same(seen.toSorted(), [
    '/srv/versions/1 7 root',
    '/srv/versions/2 7 a mapping',
    '/srv/versions/3 7 exe',
    '/srv/versions/4 7 an open file',
    `/srv/versions/6/a mount\\point ${process.pid} a mount`,
  ])
  t.equal(unseenCount, 0)
})

void t.test('processes that do not let themselves be looked into are counted', async (t) => {
  const module = new URL('../../agent/layout/in-use.ts', import.meta.url)
  const script = `const { findUsage } = await import(${JSON.stringify(module.href)})
    console.log((await findUsage(['/srv'])).unseenCount)`
  // Root sees all of them, so nobody has to look.
  const identity = process.geteuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], identity)
  const [unseenCount] = (await once(child.stdout, 'data')) as [Buffer]
  await once(child, 'exit')
  t.ok(Number(unseenCount) > 0, `${String(unseenCount).trim()} processes could not be asked`)
})

void t.test(
  'what crashes and abandoned stages left is cleared, and what is whole stays',
  async (t) => {
    const app = await appWithAll(t)
    const { layout } = app
    const kept = 'a'.repeat(64)
    const abandoned = 'b'.repeat(64)
    for (const tree of [kept, abandoned]) {
      mkdirSync(stagePath(layout, tree))
      writeFileSync(manifestPath(layout, tree), '')
    }
    mkdirSync(join(layout.lockstep, `seed-${abandoned}`))
    writeFileSync(join(stagePath(layout, abandoned), 'file'), 'x')
    chmodSync(stagePath(layout, abandoned), 0o500)
    writeFileSync(join(layout.lockstep, '.new-journal.json-0123456789ab'), 'half')
    writeFileSync(join(layout.records, '.new-1-0123456789ab'), 'half')
    writeFileSync(join(layout.records, '9'), 'a record without its version')
    writeFileSync(join(layout.trash, 'x'), 'left by the last clean-up')
    symlinkSync('versions/1', join(layout.root, '.lockstep-current-0123456789abcdef'))
    renameSync(app.path('3'), app.path('moved-away'))

    t.same(await clearLeftovers(layout, [kept], whoOfOursUses), [])
    t.same(readdirSync(layout.lockstep).toSorted(), [
      'manifests',
      'records',
      `stage-${kept}`,
      'trash',
    ])
    t.same(readdirSync(layout.records).toSorted(), ['1', '2', '4'])
    t.same(
      readdirSync(layout.manifests).toSorted(),
      [kept, one.tree, two.tree, four.tree].toSorted(),
    )
    t.same(readdirSync(layout.trash), [])
    t.ok(existsSync(app.path('moved-away')), 'what has no record is somebody else’s')
    t.ok(existsSync(recordPath(layout, '4')))
    t.same(await app.held(), ['1', '2', '4'])
  },
)

void t.test('what an app wrote into its release goes with it, whatever its name', async (t) => {
  const app = await appWithAll(t)
  const bytes = Buffer.from([0x2f, 0xe9, 0xff])
  mkdirSync(Buffer.concat([Buffer.from(app.path('1')), bytes]))
  writeFileSync(Buffer.concat([Buffer.from(app.path('1')), bytes, bytes]), 'no UTF-8')
  const longest = join(app.layout.lockstep, 'l'.repeat(255))
  writeFileSync(longest, '')
  for (const path of [app.path('1'), longest]) moveToTrash(app.layout, path)
  t.same(await emptyTrash(app.layout, whoOfOursUses), [])
  t.same(readdirSync(app.layout.trash), [])
})

void t.test('nothing is deleted by way of a link', async (t) => {
  const app = await appWithAll(t)
  const { layout } = app
  const elsewhere = join(layout.root, 'elsewhere')
  mkdirSync(elsewhere)
  writeFileSync(join(elsewhere, 'precious'), 'of somebody else')
  renameSync(layout.trash, join(layout.lockstep, 'moved'))
  symlinkSync(elsewhere, layout.trash)
  await t.rejects(emptyTrash(layout, whoOfOursUses), {
    code: 'disk-error',
    message: /trash is no directory/,
  })
  t.throws(() => prepareLayout(layout), { code: 'disk-error', message: /trash is no directory/ })
  unlinkSync(layout.trash)
  renameSync(join(layout.lockstep, 'moved'), layout.trash)

  symlinkSync(elsewhere, stagePath(layout, one.tree))
  moveToTrash(layout, app.path('1'))
  t.match(await app.stage(one), { outcome: 'staged' })
  t.same(readdirSync(elsewhere), ['precious'])
})

void t.test('a removal that fails is told and the rest goes on', async (t) => {
  const app = await appWithAll(t)
  const result = await pruneReleases(app.layout, {
    ...atOnce(app.layout),
    held: [...releases, { version: 'gone', tree: 'c'.repeat(64) }],
    keep: 1,
    history: newestFirst,
    pinned: () => [],
  })
  t.match(result.leftovers, [{ path: app.path('gone'), reason: 'ENOENT' }])
  t.same(
    result.removed.map(({ version }) => version),
    ['1', '2', '3'],
  )
})
