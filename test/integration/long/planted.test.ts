// What an app can lay in the agent's way in directories that it may write: links to elsewhere, named
// pipes that nobody writes to, directories that become links while they are removed.

import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseAgentConfig } from '#agent/config.ts'
import { deepAttest } from '#agent/attest/attest-version.ts'
import { quickAttest } from '#agent/attest/quick-attest.ts'
import { checkFit } from '#agent/fit/check-fit.ts'
import { readSecrets } from '#agent/hooks/secrets.ts'
import { readHold } from '#agent/layout/hold-file.ts'
import { emptyTrash } from '#agent/layout/trash.ts'
import { ContentServer, type Scope } from '../content-server.ts'
import { codeOf, StagedApp } from '../staged-app.ts'
import { releaseOf } from '../test-release.ts'

const one = releaseOf('1.0.0', { 'index.php': '1', 'storage/cache/first': 'x' })
const isRoot = process.geteuid?.() === 0
/** Somebody who is neither root nor whoever runs this. */
const stranger = 65_534
const asRoot = isRoot ? {} : { skip: 'only root can make what is a stranger’s' }
const nobodyUses = async () => ({ kind: 'known', users: new Map() }) as const

async function appOf(t: Scope): Promise<StagedApp> {
  const server = await ContentServer.start(t, one)
  const root = join(t.testdir({}), 'shop')
  mkdirSync(root)
  return new StagedApp(root, server)
}

function pipe(path: string): void {
  execFileSync('mkfifo', [path])
}

function strangersLink(target: string, path: string): void {
  symlinkSync(target, path)
  lchownSync(path, stranger, stranger)
}

void t.test('no named pipe is waited for', async (t) => {
  const app = await appOf(t)
  await app.stage(one)
  const top = app.path('1.0.0')
  pipe(join(app.layout.shared, '.env'))
  t.strictSame(readSecrets([join(app.layout.shared, '.env')]), [], 'a shared file')
  pipe(join(top, 'lockstep.json'))
  const config = parseAgentConfig(
    `controller = "https://c.example"\n[apps.shop]\nenvironment = "production"\nroot = "/srv/x"\n`,
    { file: 'agent.toml', hostname: 'web-1' },
  )
  const [shop] = config.apps
  if (shop === undefined) throw new Error('no app')
  const { signal } = new AbortController()
  t.match(await checkFit(top, shop, { signal }), { kind: 'failed' }, 'a descriptor')
  chmodSync(top, 0o755)
  rmSync(join(top, 'index.php'))
  pipe(join(top, 'index.php'))
  t.match(await quickAttest(app.layout, '1.0.0'), { outcome: 'drifted' }, 'a file of the release')
  t.match(await deepAttest(app.layout, '1.0.0'), { outcome: 'drifted' }, 'the same, hashed')
  pipe(app.layout.hold)
  t.equal(typeof readHold(app.layout), 'string', 'the hold: it stands, and that is what counts')
})

void t.test('a stranger’s link to a secret is not followed, root’s own is', asRoot, async (t) => {
  const directory = t.testdir({ other: 'API_TOKEN=0123456789\n' })
  strangersLink('other', join(directory, 'planted'))
  t.strictSame(readSecrets([join(directory, 'planted')]), [])
  symlinkSync('other', join(directory, 'own'))
  t.match(readSecrets([join(directory, 'own')]), [{ name: 'API_TOKEN' }])
  symlinkSync('own', join(directory, 'twice'))
  t.match(readSecrets([join(directory, 'twice')]), [{ name: 'API_TOKEN' }])
  strangersLink('own', join(directory, 'first'))
  symlinkSync('first', join(directory, 'third'))
  t.strictSame(readSecrets([join(directory, 'third')]), [], 'nor on the way')
  symlinkSync('loop', join(directory, 'loop'))
  t.strictSame(readSecrets([join(directory, 'loop')]), [])
})

void t.test('a link in shared/ does not lead a first content elsewhere', asRoot, async (t) => {
  const app = await appOf(t)
  app.sharedPaths = [{ path: 'storage/cache', type: 'directory' }]
  const elsewhere = join(t.testdirName, 'blog')
  mkdirSync(elsewhere)
  strangersLink(elsewhere, join(app.layout.shared, 'storage'))
  t.equal(await codeOf(app.stage(one)), 'shared-missing')
  t.strictSame(readdirSync(elsewhere), [])
  rmSync(join(app.layout.shared, 'storage'))
  symlinkSync(elsewhere, join(app.layout.shared, 'storage'))
  t.match(
    await app.stage(one),
    { seeded: ['storage/cache'] },
    'a link of the host’s own is followed',
  )
  t.equal(readFileSync(join(elsewhere, 'cache/first'), 'utf8'), 'x')
})

void t.test('what becomes a link while it is emptied takes nothing else with it', async (t) => {
  const app = await appOf(t)
  const names = Array.from({ length: 4000 }, (_, at) => `${at}`)
  const victim = join(t.testdirName, 'victim')
  const top = join(app.layout.trash, 'old')
  for (const directory of [victim, join(top, 'open/cache')]) {
    mkdirSync(directory, { recursive: true })
    for (const name of names) writeFileSync(join(directory, name), '')
  }
  // The app has the directory above open, in which it may write, wherever that is now.
  let left = 0
  const swap = setInterval(() => {
    left = readdirSync(join(top, 'open/cache')).length
    if (left === names.length) return
    clearInterval(swap)
    renameSync(join(top, 'open/cache'), join(top, 'open/moved'))
    symlinkSync(victim, join(top, 'open/cache'))
  })
  await emptyTrash(app.layout, nobodyUses)
  t.ok(left > 0 && left < names.length, 'it was swapped in the midst')
  t.equal(readdirSync(victim).length, names.length)
  t.strictSame(await emptyTrash(app.layout, nobodyUses), [], 'and the rest goes the next time')
  t.comment(`swapped for a link after ${names.length - left} of ${names.length} files`)
})

void t.test('what the app nested deeply, closed or named oddly is removed', async (t) => {
  const app = await appOf(t)
  const top = join(app.layout.versions, 'odd')
  mkdirSync(join(top, ...Array.from({ length: 200 }, () => 'd')), { recursive: true })
  mkdirSync(Buffer.from(`${top}/\u00ff`, 'latin1'))
  symlinkSync('/etc', join(top, 'link'))
  pipe(join(top, 'pipe'))
  mkdirSync(join(top, 'closed'))
  writeFileSync(join(top, 'closed/file'), '')
  chmodSync(join(top, 'closed'), 0)
  renameSync(top, join(app.layout.trash, 'odd'))
  t.strictSame(await emptyTrash(app.layout, nobodyUses), [])
  t.notOk(existsSync(join(app.layout.trash, 'odd')))
  t.ok(existsSync('/etc/passwd'))
})
