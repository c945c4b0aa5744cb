// Staging real packages: what stands on the disk is what GNU tar makes of the same pack, entry by
// entry, and a second release takes from the first what did not change.

import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { deepAttest } from '#agent/attest/attest-version.ts'
import { ContentServer, type Scope } from '../content-server.ts'
import { expectedTree, StagedApp, treeOnDisk } from '../staged-app.ts'
import { packOf, releaseFromDisk, tarOf, type TestRelease } from '../test-release.ts'

const packages = join(import.meta.dirname, '../../../node_modules')
const old = releaseFromDisk('4.3.0', join(packages, 'release-old'))
const next = releaseFromDisk('4.4.0', join(packages, 'release-new'))
/** Every entry with its modification time, whole seconds. */
function timesOnDisk(top: string): string[] {
  return readdirSync(top, { recursive: true, encoding: 'utf8' })
    .map((path) => `${path} ${lstatSync(join(top, path)).mtimeMs}`)
    .toSorted()
}

/** What `npm ci` makes of a small project: packages, links to executables, empty directories. */
function project(t: Scope): TestRelease {
  const top = t.testdir({})
  mkdirSync(join(top, 'node_modules/.bin'), { recursive: true })
  mkdirSync(join(top, 'var/cache'), { recursive: true })
  cpSync(join(packages, 'release-lodash'), join(top, 'node_modules/lodash'), { recursive: true })
  symlinkSync('../lodash/lodash.js', join(top, 'node_modules/.bin/lodash'))
  chmodSync(join(top, 'node_modules/lodash/lodash.js'), 0o755)
  chmodSync(join(top, 'node_modules/lodash/README.md'), 0o444)
  chmodSync(join(top, 'var/cache'), 0o700)
  writeFileSync(join(top, 'größe & co.txt'), 'a name that is not ASCII')
  mkdirSync(join(top, 'long', 'd'.repeat(120)), { recursive: true })
  writeFileSync(join(top, 'long', 'd'.repeat(120), 'f'.repeat(120)), 'pax')
  return releaseFromDisk('project', top)
}

void t.test('what is staged is what GNU tar extracts from the same pack', async (t) => {
  for (const release of [old, project(t)]) {
    const server = await ContentServer.start(t, release)
    const app = new StagedApp(join(t.testdir({}), release.version), server)
    await app.stage(release)
    const extracted = join(app.layout.root, 'extracted')
    mkdirSync(extracted)
    // In manifest order `fp.js` stands between `fp` and `fp/add.js`, so tar must wait with times.
    const options = ['-xp', '--delay-directory-restore', '-f', '-', '-C', extracted]
    execFileSync('tar', options, { input: tarOf(release) })
    t.same(treeOnDisk(app.path(release.version)), treeOnDisk(extracted))
    t.same(timesOnDisk(app.path(release.version)), timesOnDisk(extracted))
    t.same(treeOnDisk(app.path(release.version)), expectedTree(release))
    t.comment(`${release.entries.length} entries`)
  }
})

void t.test('the next release fetches only what changed', async (t) => {
  const server = await ContentServer.start(t, old, next)
  const app = new StagedApp(t.testdir({}), server)
  await app.stage(old)
  const staged = await app.stage(next, [old])
  t.same(treeOnDisk(app.path('4.4.0')), expectedTree(next))
  t.same(staged.packs, [{ from: old.tree }])
  t.match(await deepAttest(app.layout, '4.4.0'), { outcome: 'whole', extras: [] })
  t.match(await deepAttest(app.layout, '4.3.0'), { outcome: 'whole', extras: [] })
  const { received, linked, written } = staged.bytes
  const full = packOf(next).length
  t.comment(`${staged.fileCount} files: ${linked} bytes linked, ${written} written`)
  t.comment(`${received} bytes received, ${full} in the full pack`)
  t.ok(received < full)
})
