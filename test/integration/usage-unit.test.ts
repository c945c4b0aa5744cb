// Who uses what, as root's unit says it: a list is believed only when it was made after it was asked
// for, by root, and says everything that was asked. The unit itself runs in test/hosts.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemctl, type Systemctl } from '#agent/adapters/systemctl.ts'
import { askRootWhoUses } from '#agent/adapters/usage-unit.ts'
import { layoutOf, prepareLayout } from '#agent/layout/app-layout.ts'
import {
  makeUsageList,
  parseUsageList,
  uptimeMs,
  type UsageList,
  writeUsageList,
} from '#agent/layout/usage-list.ts'
import { findUsage } from '#agent/layout/in-use.ts'
import { type AskWhoUses, verdictOf, whoUses } from '#agent/layout/who-uses.ts'

const blind: AskWhoUses = async () => ({ kind: 'unknown', reason: '7 processes are not ours' })
const me = process.geteuid?.() ?? 0
const canMount = spawnSync('unshare', ['--mount', 'true']).status === 0

function listOf(changes: Partial<UsageList> = {}): UsageList {
  return {
    format: 'lockstep-in-use 1',
    app: 'shop',
    id: Math.random().toString(),
    at: '2026-11-23T12:00:00.000Z',
    bootId: null,
    uptimeMs: uptimeMs(),
    directories: ['/srv/versions/1', '/srv/versions/2'],
    used: [{ path: '/srv/versions/2', pid: 7, how: 'cwd' }],
    unseenCount: 0,
    ...changes,
  }
}

/** A systemctl that starts units, and fails where that throws. */
function startingBy(start: (unit: string) => void | Promise<void>): Systemctl {
  return async (args) => {
    try {
      await start(args.at(-1) ?? '')
      return { exitCode: 0, stdout: '', said: '' }
    } catch (error) {
      if (!(error instanceof Error)) throw error
      return { exitCode: 1, stdout: '', said: error.message }
    }
  }
}

/** Asks about `/srv/versions/1` while the unit does `start`. */
async function ask(directory: string, start: (unit: string) => void | Promise<void>) {
  const askUnit = askRootWhoUses({
    app: 'shop',
    directory,
    writer: me,
    systemctl: startingBy(start),
    ownLook: blind,
  })
  const verdict = await askUnit(['/srv/versions/1', '/srv/versions/2'])
  return verdict.kind === 'known' ? [...verdict.users.keys()] : verdict.reason
}

void t.test('the list that the unit wrote is the answer', async (t) => {
  const directory = t.testdir({})
  const units: string[] = []
  const users = await ask(directory, (unit) => {
    units.push(unit)
    writeUsageList(directory, listOf())
  })
  t.same(users, ['/srv/versions/2'])
  t.same(units, ['lockstep-inuse@shop.service'])
})

void t.test('root is not asked by who sees everything', async (t) => {
  const askUnit = askRootWhoUses({
    app: 'shop',
    directory: t.testdir({}),
    systemctl: startingBy(() => void t.fail('the unit was started')),
    ownLook: async () => ({ kind: 'known', users: new Map() }),
  })
  t.match(await askUnit(['/srv']), { kind: 'known' })
})

void t.test('a unit that fails, or is not there, is no answer', async (t) => {
  const failing = () => Promise.reject(new Error('Unit not found.'))
  t.match(await ask(t.testdir({}), failing), /^7 processes are not ours, and .*: Unit not found\.$/)
})

void t.test('the real systemctl without such a unit is no answer either', async (t) => {
  const askUnit = askRootWhoUses({ app: 'no-such-app', systemctl, ownLook: blind })
  t.match(await askUnit(['/srv']), { kind: 'unknown', reason: /lockstep-inuse@no-such-app/ })
})

void t.test('a list from before is no answer, nor is one that is no list', async (t) => {
  const directory = t.testdir({})
  const path = join(directory, 'shop.json')
  const old = listOf()
  writeUsageList(directory, old)
  t.match(await ask(directory, () => undefined), /root’s list of .* is an old one/, 'not made anew')
  const bad: [what: string, RegExp, () => void][] = [
    ['of another app', /no list of shop/, () => writeFileSync(path, text({ app: 'blog' }))],
    ['half', /no list of shop/, () => writeFileSync(path, text().slice(0, 50))],
    [
      'made long ago',
      /an old one/,
      () => writeFileSync(path, text({ uptimeMs: uptimeMs() - 61e3 })),
    ],
    [
      'of a later boot',
      /an old one/,
      () => writeFileSync(path, text({ uptimeMs: uptimeMs() + 1e6 })),
    ],
    ['of another format', /no list/, () => writeFileSync(path, text().replace(' 1"', ' 2"'))],
    ['no objects', /no list/, () => writeFileSync(path, text().replace('"pid":7', '"pid":"7"'))],
    [
      'blind',
      /2 processes do not let even root/,
      () => writeFileSync(path, text({ unseenCount: 2 })),
    ],
    [
      'of less than was asked',
      /does not know .srv.versions.2/,
      () => writeFileSync(path, text({ directories: ['/srv/versions/1'] })),
    ],
    ['writable by others', /not root’s alone/, () => chmodSync(path, 0o666)],
    ['gone', /ENOENT/, () => rmSync(path)],
    ['a link', /ELOOP/, () => symlinkSync('/etc/hostname', path)],
  ]
  for (const [what, reason, start] of bad) t.match(await ask(directory, start), reason, what)
  function text(changes: Partial<UsageList> = {}): string {
    return JSON.stringify(listOf(changes))
  }
})

void t.test('a list of somebody else’s making is none', async (t) => {
  const directory = t.testdir({})
  writeUsageList(directory, listOf())
  const askUnit = askRootWhoUses({
    app: 'shop',
    directory,
    writer: me + 1,
    systemctl: startingBy(() => void writeUsageList(directory, listOf())),
    ownLook: blind,
  })
  t.match(await askUnit(['/srv/versions/1']), { kind: 'unknown', reason: /not root’s alone/ })
})

void t.test('whoever does not see everything does not know', async (t) => {
  const users = new Map([['/srv', { pid: 1, how: 'cwd' }]])
  t.match(verdictOf({ users, unseenCount: 0, hidesProcesses: false }), { kind: 'known', users })
  t.match(verdictOf({ users, unseenCount: 1, hidesProcesses: false }), { reason: /one process/ })
  const hidden = verdictOf({ users, unseenCount: 0, hidesProcesses: true })
  const noProcfs = await whoUses(['/srv'], join(t.testdir({}), 'proc'))
  t.match(noProcfs, { kind: 'unknown', reason: /proc cannot be read \(ENOENT\)/ })
  t.equal(hidden.kind, me === 0 ? 'known' : 'unknown', 'nothing is hidden from root')
})

void t.test('the list names what processes use, in releases and in the trash', async (t: Test) => {
  const layout = layoutOf(t.testdir({ versions: { 1: {}, 2: { sub: {} } } }))
  t.same((await makeUsageList('shop', layoutOf(join(layout.root, 'nowhere')))).directories, [])
  prepareLayout(layout)
  mkdirSync(join(layout.trash, '0-abc'))
  const children = [join(layout.versions, '2/sub'), join(layout.trash, '0-abc')].map((cwd) =>
    spawn('sh', ['-c', 'echo here; exec sleep 1000'], { cwd }),
  )
  t.teardown(async () => {
    for (const child of children) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  })
  await Promise.all(children.map((child) => once(child.stdout, 'data')))
  const list = await makeUsageList('shop', layout)
  const root = realpathSync(layout.root)
  t.same(list.directories.toSorted(), [
    join(root, '.lockstep/trash/0-abc'),
    join(root, 'versions/1'),
    join(root, 'versions/2'),
  ])
  const used = list.used.map(({ path, pid }) => `${path} ${pid}`).toSorted()
  t.same(used, [
    `${join(root, '.lockstep/trash/0-abc')} ${children[1]?.pid}`,
    `${join(root, 'versions/2')} ${children[0]?.pid}`,
  ])
  t.same(parseUsageList(JSON.stringify(list), 'shop'), list)
})

void t.test(
  'a release that is mounted somewhere else, as into a container, is in use',
  { skip: canMount ? false : 'this user cannot mount' },
  async (t) => {
    const directory = realpathSync(
      t.testdir({ versions: { 1: { sub: {} }, 2: {}, 3: {} }, there: {} }),
    )
    const script = 'mount --bind "$0" "$1"; echo here; exec sleep 1000'
    const mounted = [join(directory, 'versions/1/sub'), join(directory, 'there')]
    const child = spawn('unshare', ['--mount', 'sh', '-ec', script, ...mounted], { cwd: '/' })
    t.teardown(async () => {
      child.kill('SIGKILL')
      await once(child, 'exit')
    })
    await once(child.stdout, 'data')
    const versions = ['1', '2', '3'].map((version) => join(directory, 'versions', version))
    const { users } = await findUsage(versions)
    t.same([...users.keys()], [versions[0]])
    t.match(users.get(versions[0] ?? ''), { pid: child.pid, how: 'a mount' })
  },
)
