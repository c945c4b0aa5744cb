// The configurations that installing writes, and what it says of options that differ from them.

import { Readable } from 'node:stream'
import t from 'tap'
import { parseAgentConfig } from '#agent/config.ts'
import { differingOptions, renderAgentSettings } from '#systemd/agent-settings.ts'
import {
  controllerSettingsOf,
  differingControllerOptions,
  parseControllerSettings,
  portOf,
  renderControllerSettings,
} from '#systemd/controller-settings.ts'
import { readJoinToken } from '#systemd/join-token.ts'
import { limits } from '#shared/limits.ts'

const options = {
  controller: 'https://deploy.example.com',
  name: 'web-1',
  app: 'shop',
  environment: 'production',
  root: '/var/www/sites/shop',
}
const context = { file: 'agent.toml', hostname: 'machine' }

void t.test('the agent reads the agent.toml that was written from options', async (t) => {
  t.match(parseAgentConfig(renderAgentSettings(options), context), {
    controller: 'https://deploy.example.com',
    name: 'web-1',
    state: '/var/lib/lockstep',
    apps: [{ app: 'shop', environment: 'production', root: '/var/www/sites/shop', reload: [] }],
  })
})

void t.test('without a name the machine’s own is meant, and stays open to change', async (t) => {
  const text = renderAgentSettings({ ...options, name: undefined })
  t.notMatch(text, /^name/m)
  t.equal(parseAgentConfig(text, context).name, 'machine')
})

void t.test(
  'quotes, backslashes and control characters in options stay what they are',
  async (t) => {
    const root = '/srv/a "b" \\ \u007f'
    const parse = () => parseAgentConfig(renderAgentSettings({ ...options, root }), context)
    t.throws(parse, { code: 'bad-configuration', message: /control character/ })
    const tame = '/srv/a "b" \\ ü'
    const text = renderAgentSettings({ ...options, root: tame })
    t.equal(parseAgentConfig(text, context).apps[0]?.root, tame)
  },
)

void t.test('a first installation names every option that is missing', async (t) => {
  t.throws(() => renderAgentSettings({ controller: 'https://a.example' }), {
    code: 'bad-usage',
    message: 'the first installation needs --app, --env, --root',
  })
})

void t.test('only options that say something else than the file are told', async (t) => {
  const settings = parseAgentConfig(renderAgentSettings(options), context)
  t.same(differingOptions({}, settings), [])
  t.same(differingOptions({ ...options, root: '/var/www/sites/shop/' }, settings), [])
  t.same(differingOptions({ name: 'web-2', app: 'blog' }, settings), [
    '--name web-2 (the file says web-1)',
    '--app blog (the file says shop)',
  ])
})

void t.test('the controller’s settings survive being written and read', async (t) => {
  for (const settings of [
    { listen: '127.0.0.1:7400', data: '/var/lib/lockstep-controller', tls: [] },
    { listen: '[::1]:7400', data: '/srv/a "b" $c `d` \\e', tls: ['--behind-proxy'] },
    {
      listen: 'deploy.example.com:443',
      data: '/srv/data',
      tls: ['--tls-name', '*.example.com', '--tls-name', '[2001:db8::1]'],
    },
  ]) {
    t.same(parseControllerSettings(renderControllerSettings(settings), 'f'), settings)
  }
  t.equal(portOf({ listen: '[::1]:443', data: '/d', tls: [] }), 443)
})

void t.test('wrong controller settings are told together, with their source', async (t) => {
  t.throws(() => controllerSettingsOf({}), { code: 'bad-usage', message: /--listen/ })
  t.throws(() => controllerSettingsOf({ listen: '7400', data: 'data' }), {
    code: 'bad-configuration',
    message:
      'the options: "7400" is no HOST:PORT to listen on; "data" is no absolute path of a data directory',
  })
  t.throws(() => controllerSettingsOf({ listen: 'a:70000' }), { message: /no port 70000/ })
  t.throws(() => parseControllerSettings('LOCKSTEP_LISTEN=a:1\n', '/etc/f'), {
    message: /^\/etc\/f: "" is no absolute path/,
  })
  for (const data of ['/', '/a/../b', '/a\nb']) {
    t.throws(() => controllerSettingsOf({ listen: 'a:1', data }), { code: 'bad-configuration' })
  }
})

void t.test('controller options that differ from the file are told', async (t) => {
  const settings = { listen: '127.0.0.1:7400', data: '/srv/data', tls: ['--tls'] }
  t.same(differingControllerOptions({ data: '/srv/data/' }, settings), [])
  t.same(differingControllerOptions({ listen: '0.0.0.0:80' }, settings), [
    '--listen 0.0.0.0:80 (the file says 127.0.0.1:7400)',
  ])
  t.same(differingControllerOptions({ tls: true }, settings), [])
  t.same(differingControllerOptions({ 'behind-proxy': true }, { ...settings, tls: [] }), [
    '--behind-proxy (the file says nothing)',
  ])
})

void t.test('how the controller speaks TLS is judged before anything is written', async (t) => {
  const listen = '0.0.0.0:7400'
  const files = { 'tls-cert': '/etc/c.pem', 'tls-key': '/etc/k.pem' }
  t.same(controllerSettingsOf({ listen, ...files }).tls, [
    '--tls-cert',
    '/etc/c.pem',
    '--tls-key',
    '/etc/k.pem',
  ])
  t.same(controllerSettingsOf({ listen, 'tls-name': ['a', 'b'] }).tls, [
    '--tls-name',
    'a',
    '--tls-name',
    'b',
  ])
  t.throws(() => controllerSettingsOf({ listen, 'tls': true, 'plain-http': true }), {
    code: 'bad-usage',
  })
  t.throws(() => controllerSettingsOf({ listen, ...files, 'tls-key': 'k.pem' }), {
    code: 'bad-configuration',
    message: /--tls-key needs an absolute path/,
  })
  t.throws(() => controllerSettingsOf({ listen, ...files, 'tls-key': '/etc/a b' }), {
    message: /is no option of TLS/,
  })
  // An installation from before there was TLS goes on as it is.
  t.same(parseControllerSettings('LOCKSTEP_LISTEN="a:1"\nLOCKSTEP_DATA="/d"\n', 'f').tls, [])
})

void t.test('a join token is one word of a file or of standard input', async (t) => {
  const directory = t.testdir({
    good: 'lsj1.abc.def\n',
    empty: ' \n',
    two: 'lsj1.abc def\n',
    big: 'x'.repeat(limits.joinTokenBytesMax + 1),
  })
  const none = Readable.from([])
  t.equal(await readJoinToken(`${directory}/good`, none), 'lsj1.abc.def')
  t.equal(await readJoinToken('-', Readable.from(['lsj1.', 'abc\n'])), 'lsj1.abc')
  const refusals: [string, RegExp][] = [
    ['empty', /is empty/],
    ['two', /more than one word/],
    ['big', /too long/],
    ['missing', /cannot be read \(ENOENT\)/],
  ]
  for (const [name, message] of refusals) {
    await t.rejects(readJoinToken(`${directory}/${name}`, none), { code: 'bad-usage', message })
  }
  const flood = Readable.from(Array.from({ length: 100 }, () => 'x'.repeat(1000)))
  await t.rejects(readJoinToken('-', flood), { message: /standard input is too long/ })
})
