// Staging on a full disk: found before a byte is written where it can be known, and survived where
// it comes in the middle. On a small tmpfs of its own.

import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  rmdirSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { monotonicClock } from '#agent/adapters/monotonic-clock.ts'
import { AppDisk } from '#agent/app-disk.ts'
import { parseAgentConfig } from '#agent/config.ts'
import type { LockstepError } from '#shared/errors.ts'
import { noTrust } from '../support/no-trust.ts'
import { whoOfOursUses } from './clean-up-facts.ts'
import { ContentServer, type Scope, token } from './content-server.ts'
import { codeOf, quickTuning, StagedApp } from './staged-app.ts'
import { noise, releaseOf } from './test-release.ts'

const MiB = 1024 * 1024

/** A file system of this size; null, and a sentence, where this process may not mount one. */
function smallDisk(t: Scope & Pick<Tap, 'comment'>, options: string): string | null {
  // Not a testdir: that would be removed before it is unmounted.
  const directory = mkdtempSync(join(tmpdir(), 'lockstep-space-'))
  try {
    execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', options, 'none', directory], { stdio: 'pipe' })
  } catch (error) {
    rmdirSync(directory)
    if (process.geteuid?.() === 0) throw error
    t.comment('only root may mount a small file system: this was not tested')
    return null
  }
  t.teardown(() => {
    execFileSync('/bin/umount', [directory])
    rmdirSync(directory)
  })
  return directory
}

type Tap = typeof t

const large = releaseOf('1', { 'large': noise('large', 6 * MiB), 'small': 'x' })
const next = releaseOf('2', { 'large': noise('large', 6 * MiB), 'small': 'y' })
const many = releaseOf(
  '3',
  Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`file-${index}`, ''])),
)

async function appOn(t: Scope & Pick<Tap, 'comment'>, options: string): Promise<StagedApp | null> {
  const disk = smallDisk(t, options)
  if (disk === null) return null
  const server = await ContentServer.start(t, large, next, many)
  return new StagedApp(join(disk, 'shop'), server)
}

void t.test('too few bytes are found before the first is written', async (t) => {
  const app = await appOn(t, 'size=5m')
  if (app === null) return
  const error = await app.stage(large).catch((thrown: LockstepError) => thrown)
  t.match(error, {
    code: 'no-space',
    message:
      /^Staging 1 needs \d+ bytes and 2 inodes on .*\.lockstep; \d+ bytes and \d+ inodes are free$/,
    details: { neededBytes: Number, freeBytes: Number, neededInodes: 2, freeInodes: Number },
  })
  t.same(app.leftovers(), [])
  t.same(readdirSync(app.layout.manifests), [])
})

void t.test('too few inodes are found too', async (t) => {
  const app = await appOn(t, 'size=5m,nr_inodes=100')
  if (app === null) return
  t.equal(await codeOf(app.stage(many)), 'no-space')
  t.same(app.leftovers(), [])
})

void t.test('the margin is kept free', async (t) => {
  const app = await appOn(t, 'size=8m')
  if (app === null) return
  const tuning = { ...quickTuning, spaceMarginBytes: 4 * MiB }
  t.equal(await codeOf(app.stage(large, [], { tuning })), 'no-space')
  t.match(await app.stage(large), { outcome: 'staged' })
})

void t.test('what will be linked from a held release needs no space', async (t) => {
  const app = await appOn(t, 'size=8m')
  if (app === null) return
  await app.stage(large)
  t.match(await app.stage(next, [large]), { outcome: 'staged' })
  t.same(await app.held(), ['1', '2'])
  t.equal(
    await codeOf(app.stage({ ...next, version: '3' }, [large], { reuse: 'copy' })),
    'no-space',
  )
})

void t.test(
  'a disk that fills up meanwhile ends the stage, and it gives its space back',
  async (t) => {
    const app = await appOn(t, 'size=8m')
    if (app === null) return
    const server = await ContentServer.start(t, large)
    const filler = join(app.layout.root, 'filler')
    server.fault = ({ path, answer }) => {
      if (path.endsWith('/pack')) writeFileSync(filler, noise('filler', 3 * MiB))
      answer()
    }
    const error = await app
      .stage(large, [], { controllerUrl: server.url })
      .catch((thrown: LockstepError) => thrown)
    t.match(error, { code: 'no-space', message: /^Writing large: ENOSPC from write on / })
    t.same(app.leftovers(), [])
    t.same(readdirSync(app.layout.versions), [])
    const { bavail, bsize } = statfsSync(app.layout.root)
    t.ok(bavail * bsize > 4 * MiB, 'the space is free again')
    rmSync(filler)
    t.match(await app.stage(large), { outcome: 'staged' }, 'and with room it goes')
  },
)

void t.test('what the system refuses is said with path and system call', async (t) => {
  const server = await ContentServer.start(t, large)
  const app = new StagedApp(t.testdir({}), server)
  rmSync(app.layout.records, { recursive: true })
  const error = await app.stage(large).catch((thrown: LockstepError) => thrown)
  t.match(error, {
    code: 'disk-error',
    message: /^Recording 1: ENOENT from open on .*records\/\.new-1-/,
    details: { code: 'ENOENT', syscall: 'open' },
  })
  t.notOk(existsSync(app.path('1')))
})

void t.test('a full disk is told with what clean-up holds back, and until when', async (t) => {
  const disk = smallDisk(t, 'size=90m')
  if (disk === null) return
  const releases = ['1', '2', '3'].map((version) => releaseOf(version, { file: version }))
  const server = await ContentServer.start(t, ...releases)
  const root = join(disk, 'shop')
  const [app] = parseAgentConfig(
    `controller = "${server.url}"
[apps.shop]
environment = "production"
root = "${root}"
keep = 1
drain = "24h"
`,
    { file: 'agent.toml', hostname: 'web-1' },
  ).apps
  if (app === undefined) throw new Error('no app')
  const { layout } = new StagedApp(root, server)
  const agent = await AppDisk.open(
    layout,
    app,
    {
      controllerUrl: server.url,
      redirects: [],
      tls: () => ({}),
      contentToken: () => token,
      groupId: null,
      clock: monotonicClock,
      trust: noTrust,
      whoUses: whoOfOursUses,
      onStaged: () => undefined,
      onDrift: (version) => t.fail(`${version} drifted`),
      onRemoved: () => undefined,
      onProblem: (_doing, error) => t.fail(error.message),
      onFault: (_doing, error) => t.fail(String(error)),
    },
    [],
  )
  const [one, two, three] = releases
  const options = {
    signal: new AbortController().signal,
    onProgress: () => undefined,
    isSettled: false,
  }
  for (const release of [one, two]) {
    if (release === undefined) return
    t.same(await agent.stage(release, options), { kind: 'staged' })
    agent.swap({ kind: 'release', release })
  }
  await agent.cleanUp(
    () => [],
    [two, one].filter((release) => release !== undefined),
  )
  t.same(readdirSync(layout.versions).toSorted(), ['1', '2'])
  writeFileSync(join(disk, 'something-else'), Buffer.alloc(40 * MiB))
  if (three === undefined) return
  t.match(await agent.stage(three, options), {
    kind: 'failed',
    failure: {
      code: 'no-space',
      hint: /^Clean-up holds back 1 \(drains until 20.*Z\)\. Free space/,
    },
  })
})
