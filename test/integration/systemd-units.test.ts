// The units as systemd itself reads them: nothing to complain of, and an exposure that must not grow.

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { agentDropIn, controllerDropIn } from '#systemd/drop-in.ts'
import { installed, type Role, services } from '#systemd/host.ts'
import { unitRequestFiles } from '#systemd/unit-requests.ts'

const unitDirectory = new URL('../../systemd/', import.meta.url).pathname
const analyze = 'systemd-analyze'
const hasAnalyze = spawnSync(analyze, ['--version']).status === 0
const options = hasAnalyze
  ? {}
  : { skip: 'systemd-analyze is not installed here; test/hosts asks it on hosts that run systemd' }

/** What `systemd-analyze security` may say at most; 1.5 and 1.3 on systemd 252. */
const exposureMax: Record<Role, number> = { agent: 1.5, controller: 1.5 }
/** Of a unit that runs a hook, and of root's look at who uses what. */
const hookExposureMax = 4

const dropIns: Record<Role, string> = {
  agent: agentDropIn({ state: '/srv/state', roots: ['/var/www/sites/a b', '/home/deploy/100%'] }),
  controller: controllerDropIn({ data: '/srv/data', port: 443 }),
}

for (const role of ['agent', 'controller'] as const) {
  void t.test(`the ${role}’s exposure stays below ${exposureMax[role]}`, options, async (t) => {
    const exposure = exposureOf(join(unitDirectory, services[role].unit))
    t.comment(`exposure of ${services[role].unit}: ${exposure}`)
    t.ok(exposure <= exposureMax[role], `${exposure}`)
  })

  void t.test(
    `systemd has nothing to say about the ${role}’s unit and drop-in`,
    options,
    async (t) => {
      const { unit } = services[role]
      const directory = t.testdir({})
      const text = readFileSync(join(unitDirectory, unit), 'utf8')
      // Verifying looks for the program, which is not installed here.
      writeFileSync(
        join(directory, unit),
        text.replaceAll('/opt/lockstep/current/bin/lockstep', '/bin/true'),
      )
      mkdirSync(join(directory, `${unit}.d`))
      writeFileSync(join(directory, `${unit}.d`, '10-lockstep-install.conf'), dropIns[role])
      const { status, stdout, stderr } = spawnSync(
        analyze,
        ['verify', '--man=no', join(directory, unit)],
        { encoding: 'utf8', env: { ...process.env, SYSTEMD_UNIT_PATH: `${directory}:` } },
      )
      // It ends with 0 on unknown keys and bad values too: every line counts.
      t.equal(`${stdout}${stderr}`, '')
      t.equal(status, 0)
    },
  )

  void t.test(`the ${role}’s unit says what the rest relies on`, async (t) => {
    const text = readFileSync(join(unitDirectory, services[role].unit), 'utf8')
    const state = services[role].stateDirectory.replace('/var/lib/', '')
    for (const line of [
      'Type=notify',
      'NotifyAccess=all',
      'WatchdogSec=60',
      'Restart=always',
      'RestartSec=2',
      'StartLimitIntervalSec=0',
      `User=${services[role].account}`,
      `Group=${services[role].account}`,
      'StateDirectoryMode=0700',
      'ProtectControlGroups=yes',
      `StateDirectory=${state}`,
    ]) {
      t.ok(text.split('\n').includes(line), line)
    }
  })
}

void t.test('the agent may write to its own control group and to no other', async (t) => {
  const text = readFileSync(join(unitDirectory, services.agent.unit), 'utf8')
  const opened = [...text.matchAll(/^ReadWritePaths=(.*)$/gm)].flatMap(([, paths = '']) =>
    paths.split(' '),
  )
  t.strictSame(opened, [
    '-/sys/fs/cgroup/system.slice/%n',
    '-/sys/fs/cgroup/unified/system.slice/%n',
  ])
})

void t.test('root’s own units and the hook of the documents pass for hooks', options, async (t) => {
  const directory = t.testdir({})
  const looks = readFileSync(join(unitDirectory, installed.usageUnit), 'utf8')
  const example = /^```ini\n(\[Unit\]\nDescription=Migrate[^`]*)```$/m.exec(
    readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8'),
  )?.[1]
  const request = { verb: 'start', unit: 'migrate@a\\x2db-', isBeginning: true } as const
  const [socket, service] = unitRequestFiles(request)
  writeFileSync(join(directory, socket?.unit ?? ''), socket?.text ?? '')
  for (const [unit, text] of [
    [service?.unit ?? '', service?.text ?? ''],
    [installed.usageUnit, looks],
    ['shop-migrate@.service', example ?? ''],
  ] as const) {
    const file = join(directory, unit)
    writeFileSync(file, text.replaceAll('/opt/lockstep/current/bin/lockstep', '/bin/true'))
    const exposure = exposureOf(file)
    t.comment(`exposure of ${unit}: ${exposure}`)
    t.ok(exposure <= hookExposureMax, `${unit}: ${exposure}`)
    const instance = file.replace('@', '@shop')
    writeFileSync(instance, readFileSync(file))
    const { stdout, stderr } = spawnSync(analyze, ['verify', '--man=no', instance], {
      encoding: 'utf8',
      env: { ...process.env, SYSTEMD_UNIT_PATH: `${directory}:` },
    })
    t.equal(`${stdout}${stderr}`, '')
  }
})

void t.test(
  'root’s look has no right but to look, and leaves its list for the agent',
  async (t) => {
    const text = readFileSync(join(unitDirectory, installed.usageUnit), 'utf8')
    const lists = installed.usageDirectory
    for (const line of [
      'Type=oneshot',
      'User=root',
      `ExecStart=/opt/lockstep/current/bin/lockstep agent in-use %i --config /etc/lockstep/agent.toml --out ${lists}`,
      `RuntimeDirectory=${lists.replace('/run/', '')}`,
      'RuntimeDirectoryPreserve=yes',
      'CapabilityBoundingSet=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH',
      'NoNewPrivileges=yes',
      'ProtectSystem=strict',
    ]) {
      t.ok(text.split('\n').includes(line), line)
    }
  },
)

function exposureOf(file: string): number {
  const text = execFileSync(analyze, ['security', '--offline=true', '--no-pager', file], {
    encoding: 'utf8',
  })
  return Number(/Overall exposure level .*: ([0-9.]+)/.exec(text)?.[1])
}
