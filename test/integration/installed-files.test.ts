// What doctor says of the files of an installation: as installed nothing, and every deviation by name.

import {
  chmodSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { parseAgentConfig } from '#agent/config.ts'
import { judgeInstalledFiles, readInstalledFiles } from '#agent/doctor/installed-files.ts'
import { installAgent } from '#systemd/install-agent.ts'
import { fakeCheckout, fakeHost } from './systemd-fake-host.ts'

const me = process.geteuid?.() ?? 0
const agent = { name: 'lockstep', uid: me, gids: [] }
const paths = { state: '/var/lib/lockstep', trust: '/etc/lockstep/trust.json' }

async function installed(t: Test) {
  const directory = t.testdir({ machine: {}, token: 'lsj1.secret\n' })
  const top = join(directory, 'machine')
  const host = fakeHost(top)
  host.state.polkit = '0.105'
  await installAgent(
    {
      controller: 'https://deploy.example.com',
      app: 'shop',
      environment: 'production',
      root: '/var/www/sites/shop',
      joinTokenFile: join(directory, 'token'),
    },
    {
      host,
      programDirectory: fakeCheckout(join(directory, 'checkout')),
      parseSettings: parseAgentConfig,
      stdin: Readable.from([]),
    },
  )
  writeFileSync(join(top, 'var/lib/lockstep/identity.json'), '{}', { mode: 0o600 })
  writeFileSync(join(top, 'etc/lockstep/trust.json'), '{}', { mode: 0o640 })
  const judge = async (user = agent) =>
    judgeInstalledFiles(await readInstalledFiles(top, paths), user, me)
  return { top, judge }
}

void t.test('an installation as it was made is in order', async (t) => {
  const { top, judge } = await installed(t)
  const { outcome, found } = await judge()
  t.equal(outcome, 'ok', found)
  const { files, unseen } = await readInstalledFiles(top, paths)
  t.strictSame(unseen, [])
  t.ok(files.length > 20)
  t.strictSame(
    files.filter(({ isLink, mode }) => !isLink && (mode & 0o022) !== 0),
    [],
    'nothing may be written by group or others, whatever the umask',
  )
  t.comment(`${files.length} installed files`)
})

void t.test('every deviation is named', async (t) => {
  const { top, judge } = await installed(t)
  const units = 'etc/systemd/system'
  const socket = readdirSync(join(top, units)).find((name) => name.endsWith('.socket')) ?? ''
  const deviations = [
    'opt/lockstep',
    'opt/lockstep/versions/1.2.3/bin/lockstep',
    'opt/lockstep/versions/1.2.3/agent/main.ts',
    'etc/lockstep',
    'etc/lockstep/agent.toml',
    'etc/lockstep/trust.json',
    'etc/lockstep/installed.json',
    `${units}/lockstep-agent.service`,
    `${units}/lockstep-agent.service.d/10-lockstep-install.conf`,
    `${units}/lockstep-inuse@.service`,
    `${units}/${socket}`,
    'var/lib/lockstep',
  ]
  for (const path of deviations) {
    for (const bit of [0o020, 0o002]) {
      const { mode } = statSync(join(top, path))
      chmodSync(join(top, path), mode | bit)
      const { outcome, found } = await judge()
      t.match({ outcome, found }, { outcome: 'fail' }, `${path} ${bit.toString(8)}`)
      t.ok(found.startsWith(`${join(top, path)} may be written by others (0`), found)
      chmodSync(join(top, path), mode)
    }
  }
  for (const name of ['identity.json', 'join-token']) {
    chmodSync(join(top, 'var/lib/lockstep', name), 0o640)
    t.match(await judge(), { found: new RegExp(`${name} may be read by others \\(0640\\)$`) })
    chmodSync(join(top, 'var/lib/lockstep', name), 0o600)
  }
  t.match(await judge(), { outcome: 'ok' })
  t.comment(`${deviations.length * 2 + 2} deviations found`)
})

const asRoot = me === 0 ? {} : { skip: 'only root can give files away' }

void t.test('what belongs to the agent and ought to be root’s is named', asRoot, async (t) => {
  const { top, judge } = await installed(t)
  const unit = join(top, 'etc/systemd/system/lockstep-agent.service')
  lchownSync(unit, 1234, 1234)
  t.match(await judge(), { outcome: 'fail', found: `${unit} belongs to user 1234, not 0` })
  lchownSync(unit, 0, 0)
  const link = join(top, 'opt/lockstep/current')
  lchownSync(link, 1234, 1234)
  t.match(await judge(), { found: `${link} belongs to user 1234, not 0` })
  lchownSync(link, 0, 0)
  t.match(await judge({ ...agent, uid: 1234 }), {
    found: /var\/lib\/lockstep belongs to user 0, not 1234/,
  })
})

void t.test('where nothing is installed there is nothing to find', async (t) => {
  const top = t.testdir({})
  t.match(judgeInstalledFiles(await readInstalledFiles(top, paths), null), {
    outcome: 'ok',
    found: 'nothing is installed',
  })
  mkdirSync(join(top, 'etc/systemd/system'), { recursive: true })
  symlinkSync('/dev/null', join(top, 'etc/systemd/system/lockstep-agent.service'))
  writeFileSync(join(top, 'etc/systemd/system/other.service'), '', { mode: 0o666 })
  t.match(judgeInstalledFiles(await readInstalledFiles(top, paths), null, me), { outcome: 'ok' })
})
