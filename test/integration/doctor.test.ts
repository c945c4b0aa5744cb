// `lockstep doctor` on a machine of the test's own: what is read from real directories, processes and an
// HTTP server, and how the command shows it.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { examine } from '#agent/doctor/examine-host.ts'
import type { Machine } from '#agent/doctor/machine.ts'
import type { Finding } from '#shared/finding.ts'
import { ran } from './cli-run.ts'

/** What the programs of a machine print; others are not installed. */
const systemd: Readonly<Record<string, string>> = {
  'systemctl --version': 'systemd 252 (252.39-1~deb12u1)\n+PAM +AUDIT\n',
  'pkaction --version': 'pkaction version 0.105\n',
}

function shop(t: Test, printed: Readonly<Record<string, string>> = systemd) {
  const top = t.testdir({ nginx: { 'sites-enabled': {} }, php: {}, sbin: {} })
  const root = join(top, 'shop')
  for (const version of ['1.0.0', '1.1.0']) {
    mkdirSync(join(root, 'versions', version, 'public'), { recursive: true })
    writeFileSync(join(root, 'versions', version, 'public/index.php'), '<?php')
  }
  mkdirSync(join(root, '.lockstep'))
  symlinkSync('versions/1.1.0', join(root, 'current'))
  const machine: Machine = {
    top: join(top, 'machine'),
    procfs: '/proc',
    nginxDirectory: join(top, 'nginx'),
    phpDirectory: join(top, 'php'),
    systemBinaries: join(top, 'sbin'),
    run: async (program, args) => {
      const stdout = printed[[program, ...args].join(' ')]
      return { exitCode: stdout === undefined ? 127 : 0, stdout: stdout ?? '' }
    },
  }
  const configFile = join(top, 'agent.toml')
  const configure = (controller: string, more = '') =>
    writeFileSync(
      configFile,
      [
        `controller = "${controller}"`,
        'name = "web-1"',
        '[apps.shop]',
        'environment = "production"',
        `root = "${root}"`,
        more,
      ].join('\n'),
    )
  configure('http://127.0.0.1:1')
  return { top, root, machine, configFile, configure }
}

const find = (findings: readonly Finding[], check: Finding['check']): Finding[] =>
  findings.filter((finding) => finding.check === check)

void t.test('an app’s disk, link and rights are read as they are', async (t) => {
  const ids = { 'id -un': 'root\n', 'id -u': '0\n', 'id -G': '0\n' }
  const { machine, configFile, root } = shop(t, { ...systemd, ...ids })
  const findings = await examine(configFile, machine)
  t.match(find(findings, 'configuration'), [{ outcome: 'ok', app: null, found: /shop/ }])
  t.match(find(findings, 'mount'), [{ app: 'shop', found: / at \// }])
  t.match(find(findings, 'layout'), [{ outcome: 'ok' }])
  t.match(find(findings, 'space'), [{ found: /5 B in 2 entries$/ }])
  t.match(find(findings, 'rights'), [{ outcome: 'ok', found: 'root may write to the root' }])
  t.match(find(findings, 'current'), [{ outcome: 'ok', found: 'current → versions/1.1.0' }])
  t.match(find(findings, 'systemd'), [{ outcome: 'ok', found: 'systemd 252' }])
  t.match(find(findings, 'service'), [{ outcome: 'warn', found: /not installed/ }])
  t.match(find(findings, 'controller'), [
    { outcome: 'fail', found: /127\.0\.0\.1:1 does not answer/ },
  ])
  t.same(find(findings, 'nginx'), [])
  t.notMatch(findings, [{ found: root }])
})

void t.test('a root that is not there yet is no failure', async (t) => {
  const { machine, configFile, configure, root } = shop(t)
  configure('http://127.0.0.1:1')
  writeFileSync(
    configFile,
    `controller = "http://127.0.0.1:1"\n[apps.new]\nenvironment = "e"\nroot = "${root}/below/new"\n`,
  )
  const findings = await examine(configFile, machine)
  t.match(find(findings, 'layout'), [{ outcome: 'ok', found: /not there yet/ }])
  t.match(find(findings, 'current'), [{ outcome: 'ok', found: /no `current` yet/ }])
  t.match(find(findings, 'rights'), [{ outcome: 'unknown' }])
})

void t.test('the service’s user and sandbox come from systemd', async (t) => {
  const names = 'LoadState,ActiveState,StatusText,User,ProtectSystem,ReadWritePaths,BindPaths'
  const words = `show lockstep-agent.service --property=${names}`
  const shown = (paths: string) => ({
    ...systemd,
    [`systemctl ${words}`]: [
      'LoadState=loaded',
      'ActiveState=active',
      'User=lockstep',
      'ProtectSystem=strict',
      `ReadWritePaths=${paths}`,
      'BindPaths=\n',
    ].join('\n'),
    'id -un lockstep': 'lockstep\n',
    'id -u lockstep': String(process.getuid?.()),
    'id -G lockstep': String(process.getgid?.()),
  })
  const closed = shop(t, shown('-/srv/other'))
  const findings = await examine(closed.configFile, closed.machine)
  t.match(find(findings, 'service'), [{ outcome: 'ok' }])
  t.match(find(findings, 'rights'), [
    { outcome: 'fail', found: /sandbox keeps .*\/shop read-only/ },
  ])
  const open = { ...closed.machine, run: shop(t, shown(`-/srv "-${closed.root}"`)).machine.run }
  t.match(find(await examine(closed.configFile, open), 'rights'), [{ outcome: 'ok' }])
})

void t.test('polkit is judged by what the agent asks for', async (t) => {
  const { machine, configFile, configure } = shop(t)
  t.match(find(await examine(configFile, machine), 'polkit'), [{ outcome: 'ok' }])
  configure('http://127.0.0.1:1', 'reload = ["php8.2-fpm.service"]\n')
  t.match(find(await examine(configFile, machine), 'polkit'), [{ outcome: 'fail' }])
  configure('http://127.0.0.1:1', '[apps.shop.hooks.after-activate]\nunit = "warm@.service"\n')
  t.match(find(await examine(configFile, machine), 'polkit'), [{ found: /warm@\.service/ }])
})

void t.test('a process that works in an old release is named', async (t) => {
  const { machine, configFile, root } = shop(t)
  const directory = join(root, 'versions/1.0.0/public')
  const child = spawn('sleep', ['600'], { cwd: directory, stdio: 'ignore' })
  const current = spawn('sleep', ['600'], { cwd: join(root, 'current'), stdio: 'ignore' })
  t.teardown(() => [child, current].map((process_) => process_.kill('SIGKILL')))
  await Promise.all([once(child, 'spawn'), once(current, 'spawn')])
  const [finding] = find(await examine(configFile, machine), 'processes')
  t.match(finding, { outcome: 'warn', found: new RegExp(`sleep \\(${child.pid}.*in 1\\.0\\.0$`) })
})

void t.test('the controller’s clock is compared', async (t) => {
  const { machine, configFile, configure } = shop(t)
  let date = new Date()
  const server = createServer((_request, response) => {
    response.setHeader('date', date.toUTCString()).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  configure(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const near = await examine(configFile, machine)
  t.match(find(near, 'controller'), [{ outcome: 'ok' }])
  t.match(find(near, 'clock'), [{ outcome: 'ok' }])
  date = new Date(Date.now() + 3_600_000)
  const far = await examine(configFile, machine)
  t.match(find(far, 'clock'), [{ outcome: 'warn', found: /^3[56]\d\d\.\d s .* behind/ }])
})

void t.test('nginx and PHP are read from their files where they cannot be asked', async (t) => {
  const { machine, configFile, configure, root } = shop(t)
  writeFileSync(
    join(machine.nginxDirectory, 'nginx.conf'),
    'http { include sites-enabled/*; include fastcgi.conf; }',
  )
  const php = 'location ~ \\.php$ { fastcgi_pass unix:/run/fpm; include fastcgi.conf; }'
  writeFileSync(
    join(machine.nginxDirectory, 'sites-enabled/shop'),
    `server { server_name shop; root ${root}/current/public; ${php} }`,
  )
  const param = (value: string) =>
    writeFileSync(
      join(machine.nginxDirectory, 'fastcgi.conf'),
      `fastcgi_param SCRIPT_FILENAME ${value}$fastcgi_script_name; fastcgi_param DOCUMENT_ROOT ${value};`,
    )
  param('$document_root')
  mkdirSync(join(machine.phpDirectory, '8.2/fpm/conf.d'), { recursive: true })
  writeFileSync(join(machine.phpDirectory, '8.2/fpm/php.ini'), 'opcache.validate_timestamps = 0\n')
  const bad = await examine(configFile, machine)
  t.match(find(bad, 'nginx'), [{ outcome: 'fail', found: /shop, location ~ \\\.php\$/ }])
  t.match(find(bad, 'php'), [{ outcome: 'fail', found: /8\.2\/fpm: .*the old release runs on/ }])
  param('$realpath_root')
  configure('http://127.0.0.1:1', 'opcache = "/run/fpm"\n')
  const good = await examine(configFile, machine)
  t.match(find(good, 'nginx'), [{ outcome: 'ok' }])
  t.match(find(good, 'php'), [{ outcome: 'ok', found: /room for 16229 files, .* has 1$/ }])
})

void t.test('a configuration with mistakes is the first finding', async (t) => {
  const { machine, configFile } = shop(t)
  writeFileSync(configFile, 'nonsense = 1\n')
  const findings = await examine(configFile, machine)
  t.match(findings[0], { check: 'configuration', outcome: 'fail', found: /nonsense.*; / })
  t.equal(findings.length, 3)
})

void t.test('the command shows what was found, and fails where something does', async (t) => {
  const items: Finding[] = [
    { check: 'systemd', app: null, outcome: 'ok', found: 'systemd 252', remedy: null },
    { check: 'mount', app: 'shop', outcome: 'warn', found: 'overlay at /', remedy: 'Mount it.' },
  ]
  let asked = ''
  const examineHost = async ({ configFile }: { configFile: string }) => {
    asked = configFile
    return items
  }
  t.same(await ran(['doctor'], { examineHost }), {
    exitCode: 0,
    out: `      APP   CHECK    FOUND
ok          systemd  systemd 252
warn  shop  mount    overlay at /

warn shop, mount: Mount it.

2 checks: 0 failed, 1 doubtful, 0 unknown
`,
    err: '',
  })
  t.equal(asked, '/etc/lockstep/agent.toml')
  items.push({ check: 'php', app: 'shop', outcome: 'fail', found: 'old', remedy: 'Reset it.' })
  const json = await ran(['doctor', '--json', '--config', 'x.toml'], { examineHost })
  t.equal(json.exitCode, 1)
  t.same(JSON.parse(json.out), { items })
  t.equal(asked, 'x.toml')
})
