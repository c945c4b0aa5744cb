// What a configuration says of hooks, the once run, health and labels: every value and every mistake.

import t from 'tap'
import { parseAgentConfig } from '#agent/config.ts'
import { declaresOf } from '#agent/declares.ts'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'

const context = { file: '/etc/lockstep/agent.toml', hostname: 'web-1.example.com' }
const minimal = `
controller = "https://deploy.example.com"
[apps.shop]
environment = "production"
root = "/var/www/sites/shop"
`

function appOf(more: string) {
  const [app] = parseAgentConfig(minimal + more, context).apps
  if (app === undefined) throw new Error('there is no app')
  return app
}

function mistakesOf(text: string): string[] {
  try {
    parseAgentConfig(text, context)
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error
    const mistakes = error.details?.['mistakes'] as { key: string; problem: string }[]
    return mistakes.map(({ key, problem }) => `${key}: ${problem}`)
  }
  return []
}

void t.test('a program or a unit for each hook, with its time', async (t) => {
  const app = appOf(`
[apps.shop.hooks.after-stage]
run = ["bin/console", "cache:warmup", "--env", "$HOME"]
[apps.shop.hooks.on-failure]
unit = "page-somebody@.service"
timeout = "1500ms"
[apps.shop.once]
run = ["php", "artisan", "migrate", "--force"]
timeout = "45m"
when-rolling-back = true
`)
  t.same(app.hooks, {
    'after-stage': {
      command: {
        kind: 'run',
        program: 'bin/console',
        args: ['cache:warmup', '--env', '$HOME'],
      },
      timeoutMs: 60_000,
    },
    'on-failure': {
      command: { kind: 'unit', template: 'page-somebody@.service' },
      timeoutMs: 1500,
    },
  })
  t.same(app.once, {
    command: { kind: 'run', program: 'php', args: ['artisan', 'migrate', '--force'] },
    timeoutMs: 2_700_000,
    whenRollingBack: true,
  })
})

void t.test('a probe of each kind, with what is meant when the rest is left out', async (t) => {
  const rest = { forMs: 10_000, intervalMs: 1000, timeoutMs: 2000, healthy: 2, unhealthy: 3 }
  t.same(appOf('health = { url = "http://127.0.0.1/healthz" }').health, {
    target: {
      kind: 'url',
      url: 'http://127.0.0.1/healthz',
      host: null,
      statuses: null,
      body: null,
    },
    ...rest,
  })
  t.same(appOf('health = { tcp = "[::1]:8080", for = "0s" }').health, {
    target: { kind: 'tcp', address: '::1', port: 8080 },
    ...rest,
    forMs: 0,
  })
  t.same(appOf('health = { run = ["/usr/bin/check"], for = "1m", interval = "5s" }').health, {
    target: { kind: 'run', program: '/usr/bin/check', args: [] },
    ...rest,
    forMs: 60_000,
    intervalMs: 5000,
  })
  const url = `health = { url = "https://localhost:8443/?a=b", host = "shop.example.com",
    status = [200, 204], body = "ok", timeout = "100ms", healthy = 1, unhealthy = 5 }`
  t.match(appOf(url).health, {
    target: {
      url: 'https://localhost:8443/?a=b',
      host: 'shop.example.com',
      statuses: [200, 204],
      body: 'ok',
    },
    timeoutMs: 100,
    healthy: 1,
    unhealthy: 5,
  })
  t.match(appOf('health = { url = "http://10.0.0.5/", status = 401 }').health, {
    target: { statuses: [401] },
  })
})

void t.test('drain, drift, opcache and labels', async (t) => {
  const app = appOf('drain = "90m"\ndrift = "report"\nopcache = "/run/php/php8.2-fpm.sock"')
  t.match(app, { drainMs: 5_400_000, drift: 'report', opcache: '/run/php/php8.2-fpm.sock' })
  t.equal(appOf('opcache = "127.0.0.1:9000"').opcache, '127.0.0.1:9000')
  const config = parseAgentConfig(`labels = { role = "web", zone = "eu-1a" }${minimal}`, context)
  t.same(config.labels, { role: 'web', zone: 'eu-1a' })
})

void t.test('each key refuses what it cannot be, naming it once', async (t) => {
  const hook = (body: string) => `[apps.shop.hooks.after-stage]\n${body}`
  const long = 'x'.repeat(4097)
  const words = Array.from({ length: 65 }, () => '"a"').join()
  const cases: [text: string, mistake: RegExp][] = [
    ['[apps.shop.hooks.before-stage]\nrun = ["a"]', /^apps.shop.hooks.before-stage: is no known/],
    ['hooks = 5', /^apps.shop.hooks: is no section but 5/],
    ['hooks = { after-stage = "x" }', /^apps.shop.hooks.after-stage: is no section but "x"/],
    [hook(''), /^apps.shop.hooks.after-stage: has neither run nor unit/],
    [hook('run = ["a"]\nunit = "a@.service"'), /^apps.shop.hooks.after-stage: has both run and/],
    [hook('run = ["a"]\nuser = "root"'), /^apps.shop.hooks.after-stage.user: is no known key/],
    [hook('run = "rm -rf"'), /^apps.shop.hooks.after-stage.run: is no list but "rm -rf"/],
    [hook('run = []'), /^apps.shop.hooks.after-stage.run: is empty/],
    [hook('run = [""]'), /^apps.shop.hooks.after-stage.run: names no program but ""/],
    [hook('run = ["bin/"]'), /^apps.shop.hooks.after-stage.run: names no program/],
    [hook('run = ["a", 5]'), /^apps.shop.hooks.after-stage.run\[1\]: is no text/],
    [hook('run = ["../x"]'), /^apps.shop.hooks.after-stage.run: "..\/x" leads out of/],
    [hook('run = ["a/../../x"]'), /^apps.shop.hooks.after-stage.run: .* leads out of/],
    [hook('run = ["a", "b\\u0000"]'), /^apps.shop.hooks.after-stage.run: has a NUL/],
    [hook(`run = ["a", "${long}"]`), /^apps.shop.hooks.after-stage.run: has a word of 4097/],
    [hook(`run = [${words}]`), /^apps.shop.hooks.after-stage.run: has 65 words/],
    [hook('unit = "a.service"'), /^apps.shop.hooks.after-stage.unit: .* no name of a template/],
    [hook('unit = "a@b.service"'), /^apps.shop.hooks.after-stage.unit: .* no name of a template/],
    [hook('unit = "-a@.service"'), /^apps.shop.hooks.after-stage.unit: .* no name of a template/],
    [hook('run = ["a"]\ntimeout = 5'), /^apps.shop.hooks.after-stage.timeout: is no text/],
    [hook('run = ["a"]\ntimeout = "5"'), /^apps.shop.hooks.after-stage.timeout: .* its unit/],
    [hook('run = ["a"]\ntimeout = "-5s"'), /^apps.shop.hooks.after-stage.timeout: .* its unit/],
    [hook('run = ["a"]\ntimeout = "0s"'), /^apps.shop.hooks.after-stage.timeout: .* of range/],
    [hook('run = ["a"]\ntimeout = "31m"'), /^apps.shop.hooks.after-stage.timeout: .* of range/],
    ['[apps.shop.once]\ntimeout = "1m"', /^apps.shop.once: has neither run nor unit/],
    ['[apps.shop.once]\nrun = ["a"]\ntimeout = "61m"', /^apps.shop.once.timeout: .* of range/],
    ['[apps.shop.once]\nrun = ["a"]\nwhen-rolling-back = 1', /^apps.shop.once.when-rolling-back:/],
    ['health = { for = "10s" }', /^apps.shop.health: has nothing to probe/],
    ['health = { url = "http://[::1]/", tcp = "[::1]:80" }', /^apps.shop.health: has url and tcp/],
    ['health = { url = "shop" }', /^apps.shop.health.url: "shop" is no address/],
    ['health = { url = "ftp://127.0.0.1/" }', /^apps.shop.health.url: .* no http or https/],
    ['health = { url = "http://a:b@127.0.0.1/" }', /^apps.shop.health.url: .* credentials/],
    ['health = { url = "http://127.0.0.1/#a" }', /^apps.shop.health.url: .* fragment/],
    ['health = { url = "http://shop.example.com/" }', /^apps.shop.health.url: .* looked up/],
    ['health = { tcp = "shop:80" }', /^apps.shop.health.tcp: .* no address with a port/],
    ['health = { tcp = "127.0.0.1:0" }', /^apps.shop.health.tcp: .* no address with a port/],
    ['health = { tcp = "127.0.0.1:80", body = "x" }', /^apps.shop.health.body: belongs to url/],
    ['health = { run = ["../x"] }', /^apps.shop.health.run: "..\/x" leads out of the release/],
    ['health = { tcp = "127.0.0.1:80", for = "31m" }', /^apps.shop.health.for: .* of range/],
    ['health = { tcp = "127.0.0.1:80", interval = "1ms" }', /^apps.shop.health.interval: .* range/],
    ['health = { tcp = "127.0.0.1:80", healthy = 0 }', /^apps.shop.health.healthy: 0 is no such/],
    ['health = { tcp = "127.0.0.1:80", unhealthy = 21 }', /^apps.shop.health.unhealthy: 21 is no/],
    [
      'health = { url = "http://[::1]/", status = 99 }',
      /^apps.shop.health.status: 99 is no status/,
    ],
    ['health = { url = "http://[::1]/", status = [] }', /^apps.shop.health.status: \[\] is no/],
    ['health = { url = "http://[::1]/", body = "" }', /^apps.shop.health.body: is of 0 characters/],
    [
      'health = { url = "http://[::1]/", host = "a b" }',
      /^apps.shop.health.host: "a b" is no host/,
    ],
    ['drain = "31d"', /^apps.shop.drain: "31d" is out of range/],
    ['drift = "ignore"', /^apps.shop.drift: "ignore" is neither/],
    ['opcache = "php-fpm.sock"', /^apps.shop.opcache: .* is no socket of this host/],
    ['opcache = "10.0.0.1:9000"', /^apps.shop.opcache: .* is no socket of this host/],
    ['[labels]\nRole = "web"', /^labels.Role: is no name of a label/],
    ['[labels]\nrole = "a b"', /^labels.role: is "a b", no value/],
    ['[labels]\nrole = 5', /^labels.role: is no text in quotes but 5/],
  ]
  for (const [text, mistake] of cases) {
    const mistakes = mistakesOf(`${minimal}${text}`)
    t.equal(mistakes.length, 1, `${mistakes.join(' | ')} is one mistake`)
    t.match(mistakes[0], mistake)
  }
  const many = Array.from({ length: 33 }, (_, at) => `l${at} = "x"`).join('\n')
  t.match(mistakesOf(`${minimal}[labels]\n${many}`), [/^labels: are 33/])
})

void t.test('what may take longer than a controller waits is refused', async (t) => {
  const slow = `
[apps.shop.hooks.before-activate]
run = ["a"]
timeout = "30m"
[apps.shop.hooks.after-activate]
run = ["a"]
timeout = "30m"
`
  t.same(mistakesOf(minimal + slow), [])
  const text = minimal + 'reload = ["nginx.service"]' + slow
  t.same(mistakesOf(text), ['apps.shop.hooks: take 3610s with the other steps'])
  const gate = 'health = { tcp = "[::1]:80", for = "30m", interval = "1m", timeout = "1m", '
  t.same(mistakesOf(`${minimal}${gate}healthy = 20 }`), ['apps.shop.health: may take 76m'])
})

void t.test('what a host declares: times and a digest, never a command', async (t) => {
  const none = { gateMs: 0, activationMs: 0, once: null, onceMs: 0, onceWhenRollingBack: false }
  t.same(declaresOf(appOf('')), none)
  const all = `
reload = ["nginx.service", "php8.2-fpm.service"]
restart = ["worker.service"]
opcache = "/run/php.sock"
health = { tcp = "127.0.0.1:80", for = "10s", interval = "1s", timeout = "3s" }
[apps.shop.hooks.after-stage]
run = ["a"]
timeout = "20m"
[apps.shop.hooks.before-activate]
run = ["a"]
timeout = "7s"
[apps.shop.hooks.on-rollback]
run = ["a"]
timeout = "5s"
[apps.shop.hooks.after-activate]
run = ["a"]
timeout = "30s"
[apps.shop.once]
run = ["php", "migrate"]
`
  const declared = declaresOf(appOf(all))
  t.match(declared, {
    gateMs: 10_000 + 5 * 4000,
    activationMs:
      7000 +
      2 * limits.reloadTimeoutMs +
      limits.restartTimeoutMs +
      limits.opcacheTimeoutMs +
      30_000,
    once: /^[0-9a-f]{64}$/,
    onceMs: limits.onceDeadlineMs,
    onceWhenRollingBack: false,
  })
  const { once } = declared
  t.equal(declaresOf(appOf(`${all}timeout = "10m"`)).once, once, 'said or meant is the same')
  for (const other of ['["php", "other"]', '["php migrate"]']) {
    t.not(declaresOf(appOf(all.replace('["php", "migrate"]', other))).once, once)
  }
  t.not(declaresOf(appOf(`${all}timeout = "11m"`)).once, once)
  t.not(declaresOf(appOf(`${all}when-rolling-back = true`)).once, once)
})
