// The texts that depend on a host's configuration: drop-ins and the rule for units.

import { runInNewContext } from 'node:vm'
import t from 'tap'
import { agentDropIn, controllerDropIn } from '#systemd/drop-in.ts'
import { unitRightsOf, unitRightsRule } from '#systemd/unit-rights.ts'

const settingsOf = (text: string) =>
  text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))

void t.test('every app root is opened, quoted as systemd reads it', async (t) => {
  const text = agentDropIn({
    state: '/var/lib/lockstep',
    roots: ['/var/www/sites/shop', '/srv/100% "real" \\ site'],
  })
  t.same(settingsOf(text), [
    '[Service]',
    'ReadWritePaths=-"/var/www/sites/shop"',
    'ReadWritePaths=-"/srv/100%% \\"real\\" \\\\ site"',
  ])
})

void t.test('a root under a home is bound in, since homes are hidden', async (t) => {
  const text = agentDropIn({ state: '/var/lib/lockstep', roots: ['/home/deploy/shop', '/srv/a'] })
  t.same(settingsOf(text), [
    '[Service]',
    'ReadWritePaths=-"/srv/a"',
    'ProtectHome=tmpfs',
    'BindPaths=-"/home/deploy/shop"',
  ])
})

void t.test('a state directory of one’s own choice is opened too', async (t) => {
  t.match(agentDropIn({ state: '/srv/state', roots: [] }), 'ReadWritePaths=-"/srv/state"')
  t.notMatch(agentDropIn({ state: '/var/lib/lockstep/x', roots: [] }), 'ReadWritePaths')
})

void t.test('the controller needs no drop-in setting at its usual place and port', async (t) => {
  const usual = controllerDropIn({ data: '/var/lib/lockstep-controller', port: 7400 })
  t.same(settingsOf(usual), ['[Service]'])
  t.match(controllerDropIn({ data: '/srv/data', port: 7400 }), 'ReadWritePaths=-"/srv/data"')
})

void t.test('a port below 1024 gives the one capability that it takes', async (t) => {
  const text = controllerDropIn({ data: '/var/lib/lockstep-controller', port: 443 })
  t.match(text, 'AmbientCapabilities=CAP_NET_BIND_SERVICE')
  t.match(text, 'CapabilityBoundingSet=CAP_NET_BIND_SERVICE')
  t.match(text, 'PrivateUsers=no')
})

void t.test(
  'the rule allows what is configured of each unit, by the agent, and nothing else',
  async (t) => {
    const reload = ['nginx.service', 'php8.2-fpm.service']
    const rule = judge(
      unitRightsRule({ reload, restart: ['worker.service'], hooks: [], looks: [] }),
    )
    t.equal(rule('nginx.service', 'reload'), 'yes')
    t.equal(rule('php8.2-fpm.service', 'reload'), 'yes')
    t.equal(rule('worker.service', 'restart'), 'yes')
    t.equal(rule('worker.service', 'reload'), 'no')
    t.equal(rule('nginx.service', 'restart'), 'no')
    t.equal(rule('nginx.service', 'stop'), 'no')
    t.equal(rule('nginx.service', 'start'), 'no')
    t.equal(rule('dbus.service', 'reload'), 'no')
    t.equal(rule(undefined, undefined), 'no', 'a transient unit has neither')
    t.equal(rule('nginx.service', 'reload', 'www-data'), 'not handled')
    t.equal(rule('nginx.service', 'reload', 'lockstep', 'org.example.other'), 'not handled')
  },
)

void t.test('a hook’s unit may be run for its own app, in any version', async (t) => {
  const unit = (template: string) => ({ command: { kind: 'unit', template } }) as const
  const place = {
    environment: 'production',
    root: '/srv/shop',
    group: null,
    reload: [],
    restart: [],
  }
  const rights = unitRightsOf({
    apps: [
      {
        ...place,
        app: 'shop',
        hooks: { 'after-stage': { command: { kind: 'run' } }, 'on-failure': unit('page@.service') },
        once: unit('migrate@.service'),
      },
      { ...place, app: 'my-blog', hooks: {}, once: null },
    ],
  })
  t.same(rights, {
    reload: [],
    restart: [],
    hooks: ['migrate@shop-', 'page@shop-'],
    looks: ['lockstep-inuse@my-blog.service', 'lockstep-inuse@shop.service'],
  })
  const rule = judge(unitRightsRule(rights))
  for (const verb of ['start', 'stop', 'kill']) {
    t.equal(rule('migrate@shop-1.0.service', verb), 'yes')
    t.equal(rule('page@shop-1.0\\x2drc1.service', verb), 'yes')
  }
  t.equal(rule('migrate@shop-1.0.service', 'reload'), 'no')
  t.equal(rule('migrate@shop-1.0.service', 'enable'), 'no')
  t.equal(rule('migrate@shop-1.0.socket', 'start'), 'no')
  t.equal(rule('migrate@blog-1.0.service', 'start'), 'no')
  t.equal(rule('migrate@.service', 'start'), 'no')
  t.equal(rule('xmigrate@shop-1.0.service', 'start'), 'no')
  t.equal(rule('lockstep-inuse@shop.service', 'start'), 'yes', 'and root’s look at its releases')
  t.equal(rule('lockstep-inuse@shop.service', 'stop'), 'no')
  t.equal(rule('lockstep-inuse@blog.service', 'start'), 'no')
})

/** Runs the rule as polkit does: it hands over a function, which is asked for every action. */
function judge(text: string) {
  type Action = { id: string; lookup(key: string): string | undefined }
  type Decide = (action: Action, subject: { user: string }) => string
  let decide: Decide | undefined
  const Result = { YES: 'yes', NO: 'no', NOT_HANDLED: 'not handled' }
  const addRule = (rule: Decide) => {
    decide = rule
  }
  runInNewContext(text, { polkit: { Result, addRule } })
  return (
    unit: string | undefined,
    verb: string | undefined,
    user = 'lockstep',
    id = 'org.freedesktop.systemd1.manage-units',
  ) => decide?.({ id, lookup: (key) => (key === 'unit' ? unit : verb) }, { user })
}
