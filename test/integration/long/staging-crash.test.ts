// Staging killed with SIGKILL at file operation after file operation: afterwards the host holds
// what it held, or the whole new release; and the next stage ends well. The order that a power loss
// relies on is read from the same operations.

import { readFileSync, realpathSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { deepAttest } from '#agent/attest/attest-version.ts'
import { manifestPath, recordPath } from '#agent/layout/app-layout.ts'
import { clearLeftovers } from '#agent/layout/clean-up.ts'
import { activateVersion, observeCurrent } from '#agent/layout/current-link.ts'
import type { StagedRelease } from '#agent/staging/stage-request.ts'
import { whoOfOursUses } from '../clean-up-facts.ts'
import { ContentServer, type Scope } from '../content-server.ts'
import { runNode } from '../own-process.ts'
import { StagedApp, treeOnDisk } from '../staged-app.ts'
import { noise, releaseOf } from '../test-release.ts'

// Dozens of processes one after the other; only a ceiling for hangs.
t.setTimeout(300_000)

const one = releaseOf('1', {
  'same/large': noise('same', 200_000),
  'same/mode': { content: 'mode', mode: 0o755 },
  'index': '1',
})
const two = releaseOf('2', {
  'same/large': noise('same', 200_000),
  'same/mode': { content: 'mode', mode: 0o644 },
  'index': '2',
  'new/file': noise('new', 300_000),
  'new/closed': { directory: 0o555 },
  'new/link': { target: 'file' },
  'storage/seed': 'seed',
})

/** Operations at the end of a stage, where each one matters. */
const lastOperations = 24
/** Of the many before, every fifth. */
const stride = 5

async function preparedApp(t: Scope): Promise<StagedApp> {
  const server = await ContentServer.start(t, one, two)
  const app = new StagedApp(t.testdir({}), server)
  app.sharedPaths = [{ path: 'storage', type: 'directory' }]
  await app.stage(one)
  rmSync(join(app.layout.shared, 'storage'), { recursive: true })
  activateVersion(app.layout, '1')
  return app
}

/** Takes the second release away again, so that the next run begins where this one did. */
async function forget(app: StagedApp): Promise<void> {
  for (const path of [
    app.path('2'),
    recordPath(app.layout, '2'),
    manifestPath(app.layout, two.tree),
    join(app.layout.shared, 'storage'),
  ]) {
    rmSync(path, { recursive: true, force: true })
  }
  await clearLeftovers(app.layout, [], whoOfOursUses)
}

/** Stages in a process of its own; null when that was killed. */
async function stageInProcess(
  app: StagedApp,
  environment: Record<string, string>,
): Promise<StagedRelease | null> {
  const preload = new URL('../fault-preload.ts', import.meta.url).href
  const script = fileURLToPath(new URL('../staging-process.ts', import.meta.url))
  const request = JSON.stringify(app.request(two, [one]))
  const output = await runNode({
    args: [script, request],
    preload,
    // Stripping the types anew would be half of each run.
    env: { NODE_COMPILE_CACHE: join(app.layout.root, 'compiled'), ...environment },
  })
  return output === null ? null : (JSON.parse(output) as StagedRelease)
}

async function operationsOf(app: StagedApp, log: string): Promise<string[]> {
  await stageInProcess(app, { FAULT_LOG: log })
  // Relative names are shorter to read and to compare.
  const root = `${realpathSync(app.layout.root)}/`
  const lines = readFileSync(log, 'utf8').trimEnd().split('\n')
  return lines.map((line) => line.replaceAll(root, '').replaceAll(`stage-${two.tree}`, 'stage'))
}

void t.test('killed anywhere, a stage leaves what was, and the next one ends well', async (t) => {
  const app = await preparedApp(t)
  const operations = await operationsOf(app, join(app.layout.root, 'operations'))
  const whole = treeOnDisk(app.path('2'))
  await forget(app)
  const count = operations.length
  const points = Array.from({ length: count }, (_, index) => index + 1).filter(
    (point) => point % stride === 0 || point > count - lastOperations,
  )
  const ends = { before: 0, after: 0 }
  for (const point of points) {
    const at = `killed at ${point} of ${count}, ${operations[point - 1]}`
    const staged = await stageInProcess(app, { FAULT_KILL_AT: String(point) })
    if (staged !== null) throw new Error(`${at}: it was not killed`)
    const held = await app.held()
    const isThere = held.includes('2')
    ends[isThere ? 'after' : 'before'] += 1
    if (!held.includes('1')) t.fail(`${at}: what was held is lost`)
    if (isThere) t.match(await deepAttest(app.layout, '2'), { outcome: 'whole' }, at)
    t.match(observeCurrent(app.layout), { kind: 'release', version: '1' }, at)

    await clearLeftovers(app.layout, [two.tree], whoOfOursUses)
    await app.stage(two, [one])
    t.same(treeOnDisk(app.path('2')), whole, `${at}: the next stage ends well`)
    t.equal(readFileSync(join(app.layout.shared, 'storage/seed'), 'utf8'), 'seed')
    t.same(app.leftovers(), [], at)
    await forget(app)
  }
  t.comment(`${points.length} of ${count} operations: ${ends.before} before, ${ends.after} after`)
  t.ok(ends.before > 0 && ends.after > 0, 'both ends were met')
  t.same(await app.held(), ['1'])
  t.match(await deepAttest(app.layout, '1'), { outcome: 'whole' }, 'the other release is untouched')
})

void t.test('what a power loss relies on happens in its order', async (t) => {
  const app = await preparedApp(t)
  const operations = await operationsOf(app, join(app.layout.root, 'operations'))
  const indexOf = (pattern: RegExp): number => {
    const index = operations.findLastIndex((line) => pattern.test(line))
    if (index === -1) t.fail(`no operation ${pattern} in\n${operations.join('\n')}`)
    return index
  }
  const steps: [string, RegExp][] = [
    ['the last change in the stage', / \.lockstep\/stage\/|utimesSync \.lockstep\/stage$/],
    ['all of it durable', /^execFile sync -f \.lockstep\/stage$/],
    ['the seed into its place', /^renameSync \.lockstep\/seed-.* shared\/storage$/],
    ['that durable', /^fsyncSync shared$/],
    ['the record written', /^writeSync|^fsyncSync \.lockstep\/records\/\.new-/],
    ['the record in its place', /^renameSync .* \.lockstep\/records\/2$/],
    ['that durable', /^fsyncSync \.lockstep\/records$/],
    ['the version in its place', /^renameSync \.lockstep\/stage versions\/2$/],
    ['that durable', /^fsyncSync versions$/],
  ]
  const indexes = steps.map(([, pattern]) => indexOf(pattern))
  t.same(
    steps.map(([step], index) => `${indexes[index]} ${step}`),
    steps
      .map(([step], index) => ({ at: indexes[index] ?? 0, step }))
      .toSorted((a, b) => a.at - b.at)
      .map(({ at, step }) => `${at} ${step}`),
  )
  t.equal(
    indexes.at(-1),
    operations.findLastIndex((line) => line.startsWith('fsyncSync versions')),
  )
})

void t.test('a version that an earlier process renamed is made durable by the next', async (t) => {
  const app = await preparedApp(t)
  const log = join(app.layout.root, 'operations')
  const operations = await operationsOf(app, log)
  await forget(app)
  const point = operations.lastIndexOf('fsyncSync versions') + 1
  t.equal(await stageInProcess(app, { FAULT_KILL_AT: String(point) }), null)
  t.same(await app.held(), ['1', '2'], 'it is in its place')
  rmSync(log)
  t.match(await stageInProcess(app, { FAULT_LOG: log }), { outcome: 'held' })
  t.match(readFileSync(log, 'utf8'), `fsyncSync ${realpathSync(app.layout.versions)}\n`)
})
