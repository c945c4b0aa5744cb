// diff, releases prune, remove and keep, and what publish says a release requires, against a
// controller of the test's.

import t, { type Test } from 'tap'
import type { DiffView, PruneAnswer } from '#shared/api/release-schemas.ts'
import { requiresOf } from '#shared/descriptor.ts'
import { FakeController } from './cli-fake-controller.ts'
import { ran, run } from './cli-run.ts'
import { publishedView, tarball } from './cli-tarball.ts'
import { startedAt } from './cli-views.ts'

async function controller(t: Test): Promise<FakeController> {
  const fake = await new FakeController().start()
  t.teardown(() => fake.stop())
  return fake
}

const a = 'a'.repeat(64)
const plain = { type: 'file' as const, mode: 0o644, sizeBytes: 1200, sha256: a, target: null }
const linked = { type: 'link' as const, mode: null, sizeBytes: null, sha256: null, target: 'a' }

const view: DiffView = {
  app: 'shop',
  from: { version: '1', tree: a },
  to: { version: '2', tree: 'b'.repeat(64) },
  totals: {
    added: { entries: 1, bytes: 1200 },
    removed: { entries: 1, bytes: 0 },
    changed: { entries: 3, bytes: 2400 },
    same: { entries: 0, bytes: 0 },
  },
  delta: { files: 2, bytes: 2400 },
  items: [
    { path: 'bin/run', change: 'added', what: [], from: null, to: plain },
    { path: 'evil\u202e', change: 'removed', what: [], from: linked, to: null },
    {
      path: 'lib/a.js',
      change: 'changed',
      what: ['content', 'mode'],
      from: plain,
      to: { ...plain, sizeBytes: 1300, mode: 0o755 },
    },
    {
      path: 'link',
      change: 'changed',
      what: ['target'],
      from: linked,
      to: { ...linked, target: 'b' },
    },
    { path: 'x', change: 'changed', what: ['type'], from: linked, to: plain },
  ],
  next: null,
}

const diffPath = 'GET /v1/apps/shop/releases/2/diff'

void t.test('diff shows each path with what became of it, and what would be fetched', async (t) => {
  const fake = await controller(t)
  fake.answer(diffPath, view)
  t.same(await ran(['diff', 'shop', '1', '2'], { url: fake.url }), {
    exitCode: 0,
    out: `   PATH        SIZE             WHAT
+  bin/run     1.2 KB
-  evil\\u202e                   link to a
~  lib/a.js    1.2 KB → 1.3 KB  content, mode 0644 → 0755
~  link                         to a → b
~  x           1.2 KB           link → file
  added     1 entry, 1.2 KB
  removed   1 entry, 0 B
  changed   3 entries, 2.4 KB
  to fetch  2 files, 2.4 KB before compression
`,
    err: '',
  })
  t.equal(fake.asked[0]?.url, '/v1/apps/shop/releases/2/diff?from=1&limit=20')
  const json = await ran(['diff', 'shop', '1', '2', '--json'], { url: fake.url })
  t.same(JSON.parse(json.out), view)
  t.equal(fake.asked[1]?.url, '/v1/apps/shop/releases/2/diff?from=1')
})

void t.test(
  'a long diff is cut off with how many more there are, or read to its end',
  async (t) => {
    const fake = await controller(t)
    const [item] = view.items
    const items = Array.from({ length: 20 }, () => item)
    const totals = { ...view.totals, added: { entries: 36, bytes: 0 } }
    fake.on(({ url }) => ({
      body: { ...view, totals, items, next: url.includes('after=20') ? null : '20' },
    }))
    const cut = await ran(['diff', 'shop', '1', '2'], { url: fake.url })
    t.equal(cut.err, 'the first 20 differences; 20 more with --all\n')
    const all = await ran(['diff', 'shop', '1', '2', '--all', '--json'], { url: fake.url })
    t.match(JSON.parse(all.out), { next: null, totals })
    t.equal(JSON.parse(all.out).items.length, 40)
    fake.answer(diffPath, {
      ...view,
      items: [],
      totals: sameTotals(),
      delta: { files: 0, bytes: 0 },
    })
    const same = await ran(['diff', 'shop', '1', '2'], { url: fake.url })
    t.equal(same.out, 'shop 1 and 2 are the same\n')
    t.equal((await ran(['diff', 'shop', '1'], { url: fake.url })).exitCode, 2)
    t.match(await ran(['diff', 'shop', '1', '../2'], { url: fake.url }), {
      exitCode: 2,
      err: /bad-name/,
    })
  },
)

function sameTotals(): DiffView['totals'] {
  const none = { entries: 0, bytes: 0 }
  return { added: none, removed: none, changed: none, same: { entries: 3, bytes: 5 } }
}

const pruned: PruneAnswer = {
  app: 'shop',
  dryRun: false,
  keep: 3,
  removed: [{ version: '1.0', tree: a, publishedAt: startedAt, treeBytes: 81_200_000 }],
  needed: [
    {
      version: '0.9',
      by: [
        { environment: 'production', need: 'committed' },
        { environment: 'staging', need: 'way-back' },
      ],
    },
  ],
  swept: { files: 120, bytes: 2_400_000 },
}

void t.test('prune says what went, what stays and for whom', async (t) => {
  const fake = await controller(t)
  fake.answer('POST /v1/apps/shop/releases/prune', pruned)
  t.same(await ran(['releases', 'prune', 'shop'], { url: fake.url }), {
    exitCode: 0,
    out: `removed 1 release of shop; the newest 3 stay
VERSION  PUBLISHED            SIZE
1.0      2026-11-23 14:03:22  81.2 MB
0.9 stays, needed by production (committed) and staging (way-back)
freed 2.4 MB in 120 files
`,
    err: '',
  })
  t.equal(fake.asked[0]?.body.toString(), '{}')
  const many = Array.from({ length: 25 }, () => pruned.removed[0])
  fake.answer('POST /v1/apps/shop/releases/prune', { ...pruned, dryRun: true, removed: many })
  const dry = await ran(['releases', 'prune', 'shop', '--keep', '3', '--dry-run'], {
    url: fake.url,
  })
  t.match(dry.out, /^would remove 25 releases of shop/)
  t.match(dry.out, /\nand 5 more\n/)
  t.match(dry.out, /\nwould free 2\.4 MB in 120 files\n$/)
  t.same(JSON.parse(fake.asked[1]?.body.toString() ?? ''), { keep: 3, dryRun: true })
  fake.answer('POST /v1/apps/shop/releases/prune', pruned)
  const json = await ran(['releases', 'prune', 'shop', '--json'], { url: fake.url })
  t.same(JSON.parse(json.out), pruned)
  const bad = await ran(['releases', 'prune', 'shop', '--keep', '0'], { url: fake.url })
  t.equal(bad.exitCode, 2)
})

void t.test('one release is removed, or it is said who needs it', async (t) => {
  const fake = await controller(t)
  const removed = { app: 'shop', version: '1.0+a', tree: a, swept: { files: 1, bytes: 5 } }
  fake.answer('DELETE /v1/apps/shop/releases/1.0%2Ba', removed)
  const remove = ['releases', 'remove', 'shop', '1.0+a']
  t.match(await ran(remove, { url: fake.url }), {
    exitCode: 0,
    out: 'removed shop 1.0+a; freed 5 B in 1 file\n',
  })
  t.same(JSON.parse((await ran([...remove, '--json'], { url: fake.url })).out), removed)
  const refusal = {
    code: 'release-needed',
    message: 'shop 1.0+a is needed by production (committed)',
    hint: 'It can be removed when those environments have moved on.',
  }
  fake.answer('DELETE /v1/apps/shop/releases/1.0%2Ba', refusal, 409)
  t.same(await ran(remove, { url: fake.url }), {
    exitCode: 1,
    out: '',
    err: `lockstep: ${refusal.message} (release-needed)\n  ${refusal.hint}\n`,
  })
})

void t.test('how many stay is shown and set', async (t) => {
  const fake = await controller(t)
  fake.answer('GET /v1/apps/shop/keep', { app: 'shop', keep: 20 })
  fake.answer('PUT /v1/apps/shop/keep', { app: 'shop', keep: 1 })
  const keep = ['releases', 'keep', 'shop']
  t.equal((await ran(keep, { url: fake.url })).out, 'pruning leaves 20 releases of shop\n')
  t.equal((await ran([...keep, '1'], { url: fake.url })).out, 'pruning leaves 1 release of shop\n')
  t.equal(fake.asked[1]?.body.toString(), '{"keep":1}')
  const json = await ran([...keep, '--json'], { url: fake.url })
  t.same(JSON.parse(json.out), { app: 'shop', keep: 20 })
})

void t.test('publish takes along what the release requires', async (t) => {
  const fake = await controller(t)
  const commands = { php: '>= 8.2, < 9', git: '*' }
  const requires = { os: ['linux'], arch: ['x64', 'arm64'], libc: ['glibc >= 2.31'], commands }
  const laid = { requires: requiresOf({ requires }) }
  const published = { ...(await publishedView('1', tarball, laid)), requires }
  fake.answer('PUT /v1/apps/shop/releases/1', published, 201)
  const flags = '--require-os linux --require-arch x64 --require-arch arm64 --require-libc'.split(
    ' ',
  )
  const publish = run(
    [
      'publish',
      'shop',
      '1',
      '-',
      ...flags,
      'glibc >= 2.31',
      '--require',
      'php>=8.2,<9',
      '--require',
      'git',
    ],
    { url: fake.url },
  )
  publish.stdin.end(tarball)
  t.equal(await publish.exitCode, 0)
  const asked = new URL(fake.asked[0]?.url ?? '', fake.url)
  t.same(JSON.parse(asked.searchParams.get('requires') ?? ''), requires)
  t.match(
    publish.out.text,
    /\n {2}requires {2}os linux; arch x64 or arm64; glibc >= 2\.31; php >= 8\.2, < 9; git\n/,
  )
  const wrong: [flags: string[], message: RegExp][] = [
    [['--require-os', 'Linux'], /requirements are wrong: os\[0\] is "Linux"; write "linux"/],
    [['--require', 'php ~> 8'], /--require "php ~> 8" is no command with a version/],
    [['--require', 'php', '--require', 'php >= 8'], /names php twice/],
  ]
  for (const [more, message] of wrong) {
    const refused = await ran(['publish', 'shop', '1', '-', ...more], { url: fake.url })
    t.equal(refused.exitCode, 2)
    t.match(refused.err, message)
  }
  t.equal(fake.asked.length, 1, 'nothing was sent')
})
