// Clean-up and time: a release that `current` left a short time ago stays, over restarts, over a
// clock that is set, and until somebody can say that nobody uses it.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { layoutOf, prepareLayout } from '#agent/layout/app-layout.ts'
import { type PruneResult, pruneReleases } from '#agent/layout/clean-up.ts'
import { activateVersion } from '#agent/layout/current-link.ts'
import { DrainMarks } from '#agent/layout/drain-marks.ts'
import { ReleaseKeeper } from '#agent/layout/release-keeper.ts'
import type { AskWhoUses, UsageVerdict } from '#agent/layout/who-uses.ts'
import type { LockstepError } from '#shared/errors.ts'
import type { Release } from '#shared/release.ts'
import { whoOfOursUses } from './clean-up-facts.ts'
import { ContentServer } from './content-server.ts'
import { StagedApp } from './staged-app.ts'
import { releaseOf, type TestRelease } from './test-release.ts'

const releases = ['1', '2', '3'].map((version) => releaseOf(version, { file: version }))
const [one, two, three] = releases as [TestRelease, TestRelease, TestRelease]
const history = [three, two, one]
const hour = 3_600_000
const drainMs = 24 * hour
const noon = Date.UTC(2026, 10, 23, 12)

async function appWithAll(t: Test): Promise<StagedApp> {
  const server = await ContentServer.start(t, ...releases)
  const app = new StagedApp(t.testdir({}), server)
  for (const release of releases) await app.stage(release)
  activateVersion(app.layout, '3')
  return app
}

/** A clean-up of a process that has just started. */
function cleanUp(app: StagedApp, now: number, changes: object = {}): Promise<PruneResult> {
  return pruneReleases(app.layout, {
    held: releases,
    keep: 1,
    history,
    pinned: () => [three.tree],
    whoUses: whoOfOursUses,
    drain: { marks: DrainMarks.open(app.layout), drainMs, now: () => now },
    ...changes,
  })
}

const versionsOf = (list: readonly Release[]) => list.map(({ version }) => version)

void t.test('a release stays for its time after current left it, over restarts', async (t) => {
  const app = await appWithAll(t)
  const first = await cleanUp(app, noon)
  t.same(first.removed, [])
  t.match(first.heldBack, [
    { version: '2', why: 'drains until 2026-11-24T12:00:00.000Z', until: noon + drainMs },
    { version: '1' },
  ])
  t.same((await cleanUp(app, noon + 23 * hour)).removed, [])
  const last = await cleanUp(app, noon + 24 * hour)
  t.same(versionsOf(last.removed), ['1', '2'])
  t.same(last.heldBack, [])
  t.same(readdirSync(app.layout.versions), ['3'])
})

void t.test('one that ran again meanwhile begins anew', async (t) => {
  const app = await appWithAll(t)
  await cleanUp(app, noon)
  activateVersion(app.layout, '1')
  await cleanUp(app, noon + 20 * hour)
  activateVersion(app.layout, '3')
  await cleanUp(app, noon + 21 * hour)
  const { removed } = await cleanUp(app, noon + 30 * hour)
  t.same(versionsOf(removed), ['2'])
  t.same(versionsOf((await cleanUp(app, noon + 45 * hour)).removed), ['1'])
})

void t.test('a clock that goes back keeps everything, and not for ever', async (t) => {
  const app = await appWithAll(t)
  const future = noon + 1000 * hour
  await cleanUp(app, future)
  t.same((await cleanUp(app, noon)).removed, [])
  t.same((await cleanUp(app, noon + 23 * hour)).removed, [])
  t.same(versionsOf((await cleanUp(app, noon + 24 * hour)).removed), ['1', '2'])
})

void t.test('marks that cannot be read begin anew', async (t) => {
  for (const text of ['', '{', '[]', '7', '{"1":"soon","2":null}']) {
    const app = await appWithAll(t)
    await cleanUp(app, noon)
    writeFileSync(app.layout.drain, text)
    t.same((await cleanUp(app, noon + 100 * hour)).removed, [], text)
    t.match(JSON.parse(readFileSync(app.layout.drain, 'utf8')), { 1: noon + 100 * hour })
  }
})

void t.test('nobody to say who uses what: nothing is removed', async (t) => {
  const app = await appWithAll(t)
  await cleanUp(app, noon)
  const unknown: UsageVerdict = { kind: 'unknown', reason: 'nobody was asked' }
  const asked: string[][] = []
  const whoUses: AskWhoUses = async (directories) => {
    asked.push([...directories])
    return unknown
  }
  const result = await cleanUp(app, noon + drainMs, { whoUses })
  t.same(result.removed, [])
  t.equal(result.usageUnknown, 'nobody was asked')
  t.match(result.heldBack, [{ version: '2', why: 'perhaps in use' }, { version: '1' }])
  t.same(asked, [[app.path('1'), app.path('2')]], 'only of what would go')
  asked.length = 0
  t.equal((await cleanUp(app, noon, { whoUses, keep: 3 })).usageUnknown, null)
  t.same(asked, [], 'and not when nothing would')
})

function keeperOf(app: StagedApp, whoUses: AskWhoUses, drain = drainMs) {
  const clock = { now: noon }
  const problems: LockstepError[] = []
  const removals: string[][] = []
  const keeper = new ReleaseKeeper(
    app.layout,
    { keep: 1, drainMs: drain },
    {
      whoUses,
      now: () => clock.now,
      onRemoved: (removed) => removals.push(versionsOf(removed)),
      onProblem: (_doing, error) => problems.push(error),
    },
  )
  const wishes = { held: () => releases, pinned: () => [three.tree], history }
  return { keeper, clock, problems, removals, wishes }
}

void t.test('what has drained goes without waiting for the next rollout', async (t) => {
  const app = await appWithAll(t)
  const { keeper, clock, removals, wishes } = keeperOf(app, whoOfOursUses)
  await keeper.start(releases, [])
  await keeper.cleanUp(wishes)
  t.match(keeper.heldBack, /^Clean-up holds back 2 \(drains until .*\), 1 \(drains until .*\)\.$/)
  clock.now = noon + 23 * hour
  t.same(await keeper.cleanUpAgain(), [])
  keeper.needed(['2'])
  clock.now = noon + 24 * hour
  t.same(versionsOf(await keeper.cleanUpAgain()), ['1'])
  t.same(removals, [['1']])
  clock.now = noon + 47 * hour
  t.same(await keeper.cleanUpAgain(), [], 'what was promised meanwhile drains anew')
  clock.now = noon + 48 * hour
  t.same(versionsOf(await keeper.cleanUpAgain()), ['2'])
  t.equal(keeper.heldBack, null)
})

void t.test('a rollout that begins stops what was planned before it', async (t) => {
  const app = await appWithAll(t)
  const { keeper, clock, wishes } = keeperOf(app, whoOfOursUses)
  await keeper.cleanUp(wishes)
  keeper.wait()
  clock.now = noon + 100 * hour
  t.same(await keeper.cleanUpAgain(), [])
})

void t.test('that it is not known is said once, and asked again within the hour', async (t) => {
  const app = await appWithAll(t)
  let verdict: UsageVerdict = { kind: 'unknown', reason: 'the unit is not installed' }
  const { keeper, clock, problems, wishes } = keeperOf(app, async () => verdict, 0)
  await keeper.cleanUp(wishes)
  await keeper.cleanUp(wishes)
  t.match(problems, [{ code: 'usage-unknown', message: /the unit is not installed/ }])
  t.equal(problems.length, 1)
  verdict = { kind: 'known', users: new Map() }
  clock.now = noon + hour
  t.same(versionsOf(await keeper.cleanUpAgain()), ['1', '2'])
})

void t.test('two clean-ups at a time are one after the other', async (t) => {
  const app = await appWithAll(t)
  const { keeper, wishes } = keeperOf(app, whoOfOursUses, 0)
  const results = await Promise.all([keeper.cleanUp(wishes), keeper.cleanUp(wishes)])
  t.same(results.map(versionsOf), [['1', '2'], []])
})

void t.test('what a linked directory stands for is kept', async (t) => {
  const app = await appWithAll(t)
  const linked = { directory: '/srv', before: 'versions/1', hold: 'x' }
  writeFileSync(app.layout.linked, JSON.stringify(linked))
  const { removed } = await cleanUp(app, noon, {
    drain: { marks: DrainMarks.open(app.layout), drainMs: 0, now: () => noon },
  })
  t.same(versionsOf(removed), ['2'])
})

void t.test('a disk that refuses the marks does not keep clean-up from freeing it', async (t) => {
  const layout = layoutOf(t.testdir({ '.lockstep': { 'drain.json': {} } }))
  prepareLayout(layout)
  const { keeper, problems } = keeperOf({ layout } as StagedApp, whoOfOursUses)
  await keeper.cleanUp({ held: () => releases, pinned: () => [], history })
  t.match(keeper.heldBack, /2 \(drains/)
  t.same(problems, [], 'it is told with what is left over')
})
