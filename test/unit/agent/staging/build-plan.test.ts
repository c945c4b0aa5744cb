// What a host builds of a release, given its shared paths; and which stream costs least.

import t from 'tap'
import type { SharedPath } from '#agent/config.ts'
import { planBuild, sharedTargetOf } from '#agent/staging/build-plan.ts'
import { choosePack } from '#agent/staging/choose-pack.ts'
import type { ManifestEntry, ManifestFile } from '#shared/manifest.ts'

const directory = (path: string): ManifestEntry => ({ type: 'directory', path, mode: 0o755 })
const file = (path: string, sizeBytes = 1, content = path): ManifestFile => ({
  type: 'file',
  path,
  mode: 0o644,
  sizeBytes,
  sha256: Buffer.from(content).toString('hex').padEnd(64, '0'),
})
const shared = (path: string, type: SharedPath['type'] = 'directory'): SharedPath => ({
  path,
  type,
})
const pathsOf = (list: readonly { path: string }[]): string[] => list.map(({ path }) => path)

const entries = [
  directory('app'),
  file('app/index'),
  directory('storage'),
  file('storage/a'),
  file('storage-not'),
]

void t.test('a shared path replaces what is at or below it, and nothing beside it', async (t) => {
  const plan = planBuild(entries, [shared('storage')], new Set())
  t.same(pathsOf(plan.directories), ['app'])
  t.same(pathsOf(plan.files), ['app/index', 'storage-not'])
  t.same(plan.links, [{ type: 'link', path: 'storage', target: '../../shared/storage' }])
  t.same(plan.leftOut, ['storage', 'storage/a'])
  t.same(plan.seed, { directories: [], files: [], links: [] })
})

void t.test('what is missing is seeded from what is left out', async (t) => {
  const plan = planBuild(entries, [shared('storage'), shared('app')], new Set(['storage']))
  t.same(pathsOf(plan.seed.directories), ['storage'])
  t.same(pathsOf(plan.seed.files), ['storage/a'])
  t.same(plan.leftOut, ['app', 'app/index', 'storage', 'storage/a'])
})

void t.test('parents of a shared path that the release lacks are made', async (t) => {
  const plan = planBuild(entries, [shared('var/cache/x', 'file'), shared('app/y')], new Set())
  t.same(pathsOf(plan.directories), ['app', 'storage', 'var', 'var/cache'])
  t.same(
    plan.links.map(({ target }) => target),
    ['../../../../shared/var/cache/x', '../../../shared/app/y'],
  )
  t.equal(sharedTargetOf('.env'), '../../shared/.env')
})

void t.test('a shared path below a file is refused with both names', async (t) => {
  t.throws(() => planBuild(entries, [shared('app/index/x')], new Set()), {
    code: 'bad-configuration',
    message: /"app\/index\/x" lies below "app\/index", a file/,
  })
})

void t.test('the stream that brings what lacks for the fewest bytes is chosen', async (t) => {
  const all = [directory('d'), file('d/big', 1000), file('d/mid', 100), file('d/small', 1)]
  const [, big, mid, small] = all as [ManifestEntry, ManifestFile, ManifestFile, ManifestFile]
  const tree = (
    name: string,
    ...held: ManifestFile[]
  ): { tree: string; contents: Set<string> } => ({
    tree: name,
    contents: new Set(held.map(({ sha256 }) => sha256)),
  })
  const chosen = (wanted: ManifestFile[], ...held: ReturnType<typeof tree>[]): unknown => {
    const { from, expected } = choosePack(all, wanted, held)
    return [from, ...pathsOf(expected)]
  }
  t.same(chosen([small]), [null, 'd', 'd/big', 'd/mid', 'd/small'], 'nothing held')
  t.same(chosen([small], tree('A', big), tree('B', big, mid)), ['B', 'd/small'])
  t.same(chosen([mid, small], tree('A', big), tree('B', big, mid)), ['A', 'd/mid', 'd/small'])
  t.same(
    chosen([big], tree('A', big), tree('B', big, mid)),
    [null, 'd', 'd/big', 'd/mid', 'd/small'],
    'what both hold by name is bad on this disk',
  )
  t.equal(choosePack(all, [small], [tree('C')]).from, null, 'nothing in common is no delta')
})
