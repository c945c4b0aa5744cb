// Published releases in a real database: a version is written once and never changed.

import t from 'tap'
import { type PublishedRelease, ReleaseStore } from '#controller/store/release-store.ts'
import { digestOf } from '../support/fleet-facts.ts'
import { openTestDatabase } from '../support/test-database.ts'

function release(changes: Partial<PublishedRelease> = {}): Omit<PublishedRelease, 'number'> {
  return {
    app: 'shop',
    version: '1.0.0',
    tree: digestOf('1'),
    artifact: digestOf('a'),
    artifactBytes: 2 ** 32,
    treeBytes: 2 ** 34,
    entries: 3,
    publishedAt: 5.25,
    publishedBy: 'ci',
    statement: null,
    sequence: null,
    requires: null,
    ...changes,
  }
}

void t.test('a release comes back as it was published', async (t) => {
  const releases = new ReleaseStore((await openTestDatabase(t)).db)
  const { outcome, release: published } = await releases.publish(release())
  t.equal(outcome, 'published')
  t.same(published, { ...release(), number: 1 })
  t.same(await releases.get('shop', '1.0.0'), published)
  t.same(await releases.reference('shop', '1.0.0'), { version: '1.0.0', tree: digestOf('1') })
})

void t.test('the same tree again changes nothing, another one is refused', async (t) => {
  const releases = new ReleaseStore((await openTestDatabase(t)).db)
  const first = await releases.publish(release())
  const again = await releases.publish(release({ artifact: digestOf('b'), publishedAt: 9 }))
  t.same(again, { outcome: 'already-published', release: first.release })
  const other = await releases.publish(release({ tree: digestOf('2') }))
  t.same(other, { outcome: 'version-exists', release: first.release })
  t.equal((await releases.list('shop', 10, null)).length, 1)
})

void t.test('of many that publish one version at once, one tree wins', async (t) => {
  const releases = new ReleaseStore((await openTestDatabase(t)).db)
  const trees = ['1', '2', '3', '4'].map(digestOf)
  const outcomes = await Promise.all(trees.map((tree) => releases.publish(release({ tree }))))
  const winners = outcomes.filter(({ outcome }) => outcome === 'published')
  t.equal(winners.length, 1)
  const stored = await releases.get('shop', '1.0.0')
  for (const outcome of outcomes) t.same(outcome.release, stored)
})

void t.test('lists are newest first, by app, page after page', async (t) => {
  const releases = new ReleaseStore((await openTestDatabase(t)).db)
  for (const version of ['1', '2', '3', '4']) await releases.publish(release({ version }))
  await releases.publish(release({ app: 'blog' }))
  const first = await releases.list('shop', 2, null)
  t.match(first, [{ version: '4' }, { version: '3' }])
  const rest = await releases.list('shop', 10, first.at(-1)?.number ?? null)
  t.match(rest, [{ version: '2' }, { version: '1' }])
  t.same(await releases.apps(), [
    { app: 'blog', releases: 1 },
    { app: 'shop', releases: 4 },
  ])
})

void t.test('what was never published is named, the app first', async (t) => {
  const releases = new ReleaseStore((await openTestDatabase(t)).db)
  await t.rejects(releases.get('shop', '1.0.0'), { code: 'unknown-app', hint: /publish/ })
  await releases.publish(release())
  await t.rejects(releases.get('shop', '2.0.0'), { code: 'unknown-version', hint: /releases shop/ })
})
