// Staging as an agent that is not root, which is how it is meant to run: directories without write
// permission, an umask that closes everything, and a crash in the middle are no obstacle.

import { chownSync, chmodSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { clearLeftovers, pruneReleases } from '#agent/layout/clean-up.ts'
import { activateVersion } from '#agent/layout/current-link.ts'
import type { StagedRelease } from '#agent/staging/stage-request.ts'
import type { Release } from '#shared/release.ts'
import { atOnce, whoOfOursUses } from './clean-up-facts.ts'
import { runNode } from './own-process.ts'
import { ContentServer, type Scope } from './content-server.ts'
import { expectedTree, StagedApp, treeOnDisk } from './staged-app.ts'
import { noise, releaseOf, type TestRelease } from './test-release.ts'

const one = releaseOf('1', {
  'closed': { directory: 0o555 },
  'closed/deep': { directory: 0o500 },
  'closed/deep/file': { content: noise('x', 100_000), mode: 0o400 },
  'open/file': 'x',
})
const two = releaseOf('2', {
  'closed': { directory: 0o555 },
  'closed/deep': { directory: 0o500 },
  'closed/deep/file': { content: noise('x', 100_000), mode: 0o400 },
  'closed/new': { content: noise('y', 100_000), mode: 0o444 },
})
/** Nobody, where this process may become somebody else; itself where it may not. */
const user = process.geteuid?.() === 0 ? 65534 : (process.geteuid?.() ?? 0)

async function appOfUser(t: Scope, ...releases: TestRelease[]): Promise<StagedApp> {
  const server = await ContentServer.start(t, one, two, ...releases)
  const root = join(t.testdir({}), 'shop')
  mkdirSync(root)
  const app = new StagedApp(root, server)
  if (process.geteuid?.() === 0) {
    const { layout } = app
    const paths = [layout.versions, layout.shared, layout.trash, layout.manifests, layout.records]
    for (const path of [root, layout.lockstep, ...paths]) chownSync(path, user, user)
  }
  return app
}

/** @returns null when the process was killed by what `environment` asks for */
async function stageAsUser(
  app: StagedApp,
  release: Release,
  held: readonly Release[],
  environment: Record<string, string> = {},
): Promise<StagedRelease | null> {
  const script = fileURLToPath(new URL('./staging-process.ts', import.meta.url))
  const preload = new URL('./fault-preload.ts', import.meta.url).href
  const request = JSON.stringify(app.request(release, held))
  const args = [script, request]
  const output = await runNode({ args, preload, env: environment, user, umask: '077' })
  return output === null ? null : (JSON.parse(output) as StagedRelease)
}

/** What a stage that cannot be ends with. */
async function failureAsUser(app: StagedApp, release: Release): Promise<unknown> {
  const module = new URL('../../agent/staging/stage-release.ts', import.meta.url)
  const script = `import(${JSON.stringify(module.href)})
    .then(({ stageRelease }) => stageRelease(${JSON.stringify(app.request(release))}))
    .catch((error) => console.log(JSON.stringify(error.toWire())))`
  return JSON.parse((await runNode({ args: ['-e', script], user })) ?? '')
}

void t.test('an agent that is not root stages, reuses, repairs and goes on', async (t) => {
  const app = await appOfUser(t)
  await stageAsUser(app, one, [])
  t.same(treeOnDisk(app.path('1')), expectedTree(one))
  t.equal(statSync(app.path('1')).mode & 0o7777, 0o755, 'whatever the umask')
  t.equal(statSync(app.path('1', 'closed/deep/file')).uid, user)
  activateVersion(app.layout, '1')

  // Killed when everything stands with its last modes, before the sync.
  t.equal(await stageAsUser(app, two, [one], { FAULT_KILL_AT: '26' }), null)
  const staged = await stageAsUser(app, two, [one])
  t.match(staged, { outcome: 'staged', bytes: { resumed: 200_000 } })
  t.same(treeOnDisk(app.path('2')), expectedTree(two))
  t.same(await app.held(), ['1', '2'])

  chmodSync(app.path('1', 'closed/deep/file'), 0o600)
  writeFileSync(app.path('1', 'closed/deep/file'), 'drifted')
  t.match(await stageAsUser(app, one, [two]), { outcome: 'repaired' })
  t.same(treeOnDisk(app.path('1')), expectedTree(one))
})

void t.test('a file that nobody may read is fetched by every release that has it', async (t) => {
  const secret = releaseOf('secret', { closed: { content: 'x', mode: 0 }, version: '1' })
  const next = releaseOf('next', { closed: { content: 'x', mode: 0 }, version: '2' })
  const app = await appOfUser(t, secret, next)
  await stageAsUser(app, secret, [])
  t.match(await stageAsUser(app, next, [secret]), { outcome: 'staged', suspects: [] })
  t.equal(statSync(app.path('next', 'closed')).mode & 0o7777, 0)
})

void t.test('a root in which no link can be put is found before anything is staged', async (t) => {
  const app = await appOfUser(t)
  chmodSync(app.layout.root, 0o555)
  t.match(await failureAsUser(app, one), { code: 'disk-error', details: { code: 'EACCES' } })
  t.same(app.leftovers(), [])
  chmodSync(app.layout.root, 0o755)
  t.match(await stageAsUser(app, one, []), { outcome: 'staged' })
})

void t.test('a closed directory becomes a shared one', async (t) => {
  const app = await appOfUser(t)
  app.sharedPaths = [{ path: 'closed', type: 'directory' }]
  t.match(await stageAsUser(app, one, []), { outcome: 'staged', seeded: ['closed'] })
  t.equal(statSync(join(app.layout.shared, 'closed')).mode & 0o7777, 0o555)
})

void t.test('closed directories do not keep clean-up from removing them', async (t) => {
  const app = await appOfUser(t)
  for (const release of [one, two]) await stageAsUser(app, release, [])
  const module = new URL('../../agent/layout/trash.ts', import.meta.url)
  const facts = new URL('clean-up-facts.ts', import.meta.url)
  const layout = JSON.stringify(app.layout)
  const script = `const { moveToTrash, emptyTrash } = await import(${JSON.stringify(module.href)})
    const { whoOfOursUses } = await import(${JSON.stringify(facts.href)})
    moveToTrash(${layout}, ${JSON.stringify(app.path('1'))})
    console.log(JSON.stringify(await emptyTrash(${layout}, whoOfOursUses)))`
  const leftovers = await runNode({ args: ['--input-type=module', '-e', script], user })
  t.same(JSON.parse(leftovers ?? ''), [])
  t.same(await clearLeftovers(app.layout, [], whoOfOursUses), [])
  t.same(await app.held(), ['2'])
  const { removed } = await pruneReleases(app.layout, {
    ...atOnce(app.layout),
    held: [two],
    keep: 1,
    history: [one],
    pinned: () => [],
  })
  t.match(removed, [{ version: '2' }])
  rmSync(app.layout.root, { recursive: true })
})
