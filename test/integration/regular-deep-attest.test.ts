// Rot that no lstat(2) shows is found by the deep attest on a timer, and mended as any drift is.

import { readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { quickAttest } from '#agent/attest/quick-attest.ts'
import { RegularDeepAttest } from '#agent/attest/regular-deep-attest.ts'
import { activateVersion } from '#agent/layout/current-link.ts'
import { limits } from '#shared/limits.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { ContentServer, type Scope } from './content-server.ts'
import { StagedApp } from './staged-app.ts'
import { releaseOf } from './test-release.ts'

const release = releaseOf('1', { 'a/file': 'content', 'b': 'other' })

async function runningApp(t: Scope): Promise<StagedApp> {
  const server = await ContentServer.start(t, release)
  const app = new StagedApp(t.testdir({}), server)
  await app.stage(release)
  activateVersion(app.layout, '1')
  return app
}

/** Other bytes of the same length, in place, with the time kept: what rot looks like. */
function rot(path: string): void {
  const { atime, mtime } = statSync(path)
  writeFileSync(path, 'CONTENT')
  utimesSync(path, atime, mtime)
}

function attestOf(t: Scope, app: StagedApp, clock = new FakeClock(0)) {
  const found: string[] = []
  const looked = Promise.withResolvers<void>()
  const regular = new RegularDeepAttest({
    layout: app.layout,
    clock,
    random: () => 0.5,
    onDrift: ({ version, differences }) =>
      found.push(...differences.map(({ path, kind }) => `${version} ${path} ${kind}`)),
    onProblem: (error) => found.push(error.code),
    onLooked: looked.resolve,
  })
  t.teardown(async () => regular.stop())
  return { regular, found, looked: looked.promise }
}

void t.test('what rotted is found, distrusted, and staged anew', async (t) => {
  const app = await runningApp(t)
  const { regular, found } = attestOf(t, app)
  await regular.look()
  t.same(found, [])
  t.match(await quickAttest(app.layout, '1'), { outcome: 'whole' })
  rot(app.path('1', 'a/file'))
  t.match(await quickAttest(app.layout, '1'), { outcome: 'whole' }, 'nothing shows')
  await regular.look()
  t.same(found, ['1 a/file content'])
  t.match(await quickAttest(app.layout, '1'), {
    outcome: 'drifted',
    differences: [{ path: 'a/file' }],
  })
  await app.stage(release)
  t.equal(readFileSync(app.path('1', 'a/file'), 'utf8'), 'content')
  t.match(await quickAttest(app.layout, '1'), { outcome: 'whole' })
})

void t.test('once a day, from a moment that is not the same on every host', async (t) => {
  const app = await runningApp(t)
  const clock = new FakeClock(0)
  const { regular, found, looked } = attestOf(t, app, clock)
  t.same(clock.pending, [limits.deepAttestEveryMs / 2])
  rot(app.path('1', 'a/file'))
  clock.advance(limits.deepAttestEveryMs / 2)
  await looked
  t.same(found, ['1 a/file content'])
  t.same(clock.pending, [1.5 * limits.deepAttestEveryMs])
  regular.stop()
  t.same(clock.pending, [])
})

void t.test('without a release of ours at current there is nothing to look at', async (t) => {
  const server = await ContentServer.start(t, release)
  const app = new StagedApp(t.testdir({}), server)
  const { regular, found } = attestOf(t, app)
  await regular.look()
  t.same(found, [])
})
