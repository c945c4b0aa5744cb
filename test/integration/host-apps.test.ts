// What the command does to an app on its own host, from the words that are typed to the disk: hold,
// link, attest, who uses what, adopt.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { hostApps } from '#agent/host-apps.ts'
import { prepareLayout } from '#agent/layout/app-layout.ts'
import { activateVersion } from '#agent/layout/current-link.ts'
import { readHold } from '#agent/layout/hold-file.ts'
import type { AttestReport, HoldReport, LinkReport, UsageReport } from '#shared/host-apps.ts'
import { ran } from './cli-run.ts'
import { ContentServer } from './content-server.ts'
import { StagedApp } from './staged-app.ts'
import { releaseOf } from './test-release.ts'

const files = Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`f${at + 10}`, `${at}`]))
const one = releaseOf('1', { ...files, link: { target: 'f10' }, sub: { directory: 0o755 } })
const two = releaseOf('2', { file: '2' })
const signature = '(ada, 2026-11-23T12:00:00Z)'

interface OnHost {
  readonly app: StagedApp
  readonly root: string
  /** Runs `lockstep` with the configuration of this app. */
  readonly lockstep: (...argv: string[]) => ReturnType<typeof ran>
  readonly json: <Report>(...argv: string[]) => Promise<Report>
}

async function onHost(t: Test, agentRuns = false): Promise<OnHost> {
  const server = await ContentServer.start(t, one, two)
  const directory = t.testdir({ root: {}, work: {}, other: {} })
  const root = join(directory, 'root')
  const configFile = join(directory, 'agent.toml')
  writeFileSync(
    configFile,
    `controller = "https://a.example"
state = "/nowhere"
[apps.shop]
environment = "production"
root = ${JSON.stringify(root)}
`,
  )
  const context = {
    person: 'ada',
    uid: process.geteuid?.() ?? 0,
    now: () => Date.UTC(2026, 10, 23, 12),
    account: async () => null,
    isAgentRunning: async () => agentRuns,
  }
  const lockstep = (...argv: string[]) =>
    ran([...argv, '--config', configFile], { hostApps: hostApps(context) })
  return {
    app: new StagedApp(root, server),
    root,
    lockstep,
    json: async (...argv) => {
      const { out } = await lockstep(...argv, '--json')
      return JSON.parse(out)
    },
  }
}

void t.test('a hold says who, when and why, until it is ended', async (t) => {
  const { app, lockstep, json } = await onHost(t, true)
  const held = await lockstep('agent', 'hold', 'shop', '--reason', 'the database\n moves')
  t.equal(held.exitCode, 0)
  t.match(held.out, `shop is held: the database moves ${signature}\nthe agent heeds that`)
  t.equal(readHold(app.layout), `the database moves ${signature}`)
  const again = await json<HoldReport>('agent', 'hold', 'shop', '--reason', 'still')
  t.match(again, { hold: `still ${signature}`, before: `the database moves ${signature}` })
  t.match((await lockstep('agent', 'unhold', 'shop')).out, /no longer held; it was: still/)
  t.equal(readHold(app.layout), null)
  t.match((await lockstep('agent', 'unhold', 'shop')).out, 'shop was not held\n')
})

void t.test('a hold without a reason, or of an app that is not here, is refused', async (t) => {
  const { app, lockstep } = await onHost(t)
  t.match(await lockstep('agent', 'hold', 'shop'), { exitCode: 2, err: /--reason/ })
  for (const reason of ['', ' \n ', 'x'.repeat(401)]) {
    const end = await lockstep('agent', 'hold', 'shop', '--reason', reason)
    t.match(end, { exitCode: 2, err: /not 1 to 400/ })
  }
  t.match(await lockstep('agent', 'hold', 'blog', '--reason', 'x'), {
    exitCode: 1,
    err: /has no app blog, only shop/,
  })
  t.equal(readHold(app.layout), null)
})

void t.test('a working directory is linked, and gone back from', async (t) => {
  const { app, root, lockstep, json } = await onHost(t)
  await app.stage(one)
  activateVersion(app.layout, '1')
  const work = join(root, '../work')
  const other = join(root, '../other')
  const linked = await lockstep('link', 'shop', work)
  t.equal(linked.exitCode, 0, linked.err)
  t.match(linked.out, `current leads to ${work}\nshop is held until`)
  t.equal(readlinkSync(app.layout.current), work)
  t.equal(readHold(app.layout), `linked to ${work} ${signature}`)
  t.match(await json<LinkReport>('link', 'shop', other), { current: other, replaced: work })
  const undone = await json<LinkReport>('link', 'shop', '--undo')
  t.match(undone, { current: 'versions/1', replaced: other, hold: null })
  t.equal(readlinkSync(app.layout.current), 'versions/1')
  t.equal(readHold(app.layout), null)
  t.notOk(existsSync(app.layout.linked))
  t.match(await lockstep('link', 'shop', '--undo'), { exitCode: 2, err: /no linked directory/ })
})

void t.test('where there was no current, there is none again', async (t) => {
  const { app, root, lockstep } = await onHost(t)
  await lockstep('link', 'shop', join(root, '../work'))
  t.ok(existsSync(app.layout.current))
  t.match((await lockstep('link', 'shop', '--undo')).out, 'current is gone, as before')
  t.notOk(existsSync(app.layout.current))
})

void t.test('what somebody changed meanwhile is left as it is', async (t) => {
  const { app, root, lockstep } = await onHost(t)
  await lockstep('link', 'shop', join(root, '../work'))
  unlinkSync(app.layout.current)
  symlinkSync('../other', app.layout.current)
  await lockstep('agent', 'hold', 'shop', '--reason', 'mine')
  const { out } = await lockstep('link', 'shop', '--undo')
  t.match(out, 'current leads to ../other as it did: somebody changed it meanwhile')
  t.match(readHold(app.layout), 'mine', 'another hold stays')
})

void t.test('what cannot be linked is refused, and nothing is changed', async (t) => {
  const { app, root, lockstep } = await onHost(t)
  await app.stage(one)
  activateVersion(app.layout, '1')
  symlinkSync('root/current', join(root, '../around'))
  for (const [directory, reason] of [
    [join(root, '../nowhere'), /is no directory/],
    [app.path('1'), /in the app’s own root/],
    [join(root, '../around'), /in the app’s own root/],
    [join(root, '..'), /holds the app’s own root/],
  ] as const) {
    t.match(await lockstep('link', 'shop', directory), { exitCode: 2, err: reason })
  }
  t.match(await lockstep('link', 'shop'), { exitCode: 2 })
  t.match(await lockstep('link', 'shop', join(root, '../work'), '--undo'), { exitCode: 2 })
  await lockstep('agent', 'hold', 'shop', '--reason', 'mine')
  const held = await lockstep('link', 'shop', join(root, '../work'))
  t.match(held, { exitCode: 1, err: /the app is held: mine/ })
  t.equal(readlinkSync(app.layout.current), 'versions/1')
  t.notOk(existsSync(app.layout.linked))

  const directory = await onHost(t)
  mkdirSync(directory.app.layout.current)
  const real = await directory.lockstep('link', 'shop', join(directory.root, '../work'))
  t.match(real, { exitCode: 1, err: /current-is-directory|no symbolic link/ })
  t.ok(statSync(directory.app.layout.current).isDirectory())
})

void t.test('a note of a link that is damaged is told, and nothing is guessed', async (t) => {
  const { app, root, lockstep } = await onHost(t)
  prepareLayout(app.layout)
  for (const text of ['', '{}', '7', '{"directory":"/x","before":7,"hold":""}']) {
    writeFileSync(app.layout.linked, text)
    t.match(await lockstep('link', 'shop', '--undo'), {
      exitCode: 1,
      err: /linked.json is damaged/,
    })
    t.match(await lockstep('link', 'shop', join(root, '../work')), { exitCode: 1 })
  }
})

void t.test('drift is shown file by file, all of it', async (t) => {
  const { app, lockstep, json } = await onHost(t)
  t.match(await lockstep('agent', 'attest', 'shop'), { exitCode: 0, out: /no staged release/ })
  await app.stage(one)
  await app.stage(two)
  activateVersion(app.layout, '1')
  const whole = await lockstep('agent', 'attest', 'shop')
  t.match(whole, {
    exitCode: 0,
    out: /current leads to versions\/1.*\n1 \(current\) is whole\n2 is whole/,
  })

  for (const name of Object.keys(files)) rmSync(app.path('1', name))
  mkdirSync(app.path('1', 'f10'))
  writeFileSync(app.path('1', 'sub/new'), 'x')
  chmodSync(app.path('1', 'sub'), 0o700)
  const drifted = await lockstep('agent', 'attest', 'shop')
  t.equal(drifted.exitCode, 1)
  t.match(drifted.out, /^1 \(current\) has drifted in 31 files$/m)
  t.match(drifted.out, /^ {2}type +f10$/m)
  t.equal(drifted.out.match(/^ {2}missing +f\d\d$/gm)?.length, 29, 'more than a report would name')
  t.match(drifted.out, /^ {2}mode +sub$/m)
  t.match(drifted.out, /^ {2}extra +sub.new$/m)
  const report = await json<AttestReport>('agent', 'attest', 'shop')
  t.equal(report.releases[0]?.differences.length, 31)
})

void t.test('a deep attest finds what looks the same', async (t) => {
  const { app, lockstep } = await onHost(t)
  await app.stage(two)
  const path = app.path('2', 'file')
  const { atime, mtime } = statSync(path)
  writeFileSync(path, '3')
  utimesSync(path, atime, mtime)
  t.match(await lockstep('agent', 'attest', 'shop'), { exitCode: 0, out: /--deep reads them/ })
  const deep = await lockstep('agent', 'attest', 'shop', '--deep')
  t.match(deep, { exitCode: 1, out: /2 has drifted in 1 file\n {2}content +file/ })
  t.equal(readFileSync(path, 'utf8'), '3', 'and changes nothing')
  renameSync(app.layout.manifests, `${app.layout.manifests}-away`)
  t.match(await lockstep('agent', 'attest', 'shop', '--deep'), {
    exitCode: 1,
    out: /2 is not known: it has no record/,
  })
})

void t.test('who uses what is shown, and left for the agent', async (t) => {
  const { app, root, lockstep, json } = await onHost(t)
  await app.stage(one)
  await app.stage(two)
  const child = spawn('sh', ['-c', 'echo here; exec sleep 1000'], { cwd: app.path('1', 'sub') })
  t.teardown(async () => {
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  await once(child.stdout, 'data')
  const shown = await lockstep('agent', 'in-use', 'shop', '--out', join(root, '../other'))
  t.match(shown.out, new RegExp(`versions/1 +${child.pid} +cwd\\n1 of 2 releases are in use\\n`))
  t.match(shown.out, /wrote .*other\/shop\.json/)
  const list = JSON.parse(readFileSync(join(root, '../other/shop.json'), 'utf8'))
  t.match(list, { app: 'shop', used: [{ pid: child.pid, how: 'cwd' }] })
  t.match(await json<UsageReport>('agent', 'in-use', 'shop'), { file: null, used: list.used })
})

void t.test('adopt says what it found, did and leaves to do', async (t) => {
  const { root, lockstep } = await onHost(t)
  rmSync(root, { recursive: true })
  mkdirSync(join(root, 'releases/5'), { recursive: true })
  mkdirSync(join(root, 'shared/storage'), { recursive: true })
  mkdirSync(join(root, '.dep'))
  symlinkSync('releases/5', join(root, 'current'))
  symlinkSync('../../shared/storage', join(root, 'releases/5/storage'))
  const dry = await lockstep('adopt', 'shop', '--dry-run')
  t.match(dry, {
    exitCode: 0,
    out: /holds a Deployer tree\nwould have made .*\nshop can be adopted/,
  })
  const done = await lockstep('adopt', 'shop')
  t.match(done.out, /shop is adopted; current leads to releases.5\n/)
  t.match(done.out, /to do: .*\n {4}shared = \["storage\/"\]\nto undo it:\n {4}systemctl stop/)
  unlinkSync(join(root, 'current'))
  t.match(await lockstep('adopt', 'shop'), {
    exitCode: 1,
    err: /there is no .*current.*not-adoptable/,
  })
})
