// The agent's configuration: defaults, and every mistake said at once with its key and the remedy.

import t from 'tap'
import { parseAgentConfig } from '#agent/config.ts'
import { LockstepError } from '#shared/errors.ts'

const context = { file: '/etc/lockstep/agent.toml', hostname: 'web-1.example.com' }
const minimal = `
controller = "https://deploy.example.com"
[apps.shop]
environment = "production"
root = "/var/www/sites/shop"
`

/** What an app does not have unless its section says so. */
const nothingElse = {
  restart: [],
  opcache: null,
  hooks: {},
  once: null,
  health: null,
  commands: {},
  drainMs: 86_400_000,
  drift: 'repair',
  group: null,
}

function errorOf(text: string, hostname = context.hostname): LockstepError {
  try {
    parseAgentConfig(text, { ...context, hostname })
  } catch (error) {
    if (error instanceof LockstepError) return error
    throw error
  }
  throw new Error('the configuration was accepted')
}

/** The mistakes as "key: problem". */
function mistakesOf(text: string, hostname?: string): string[] {
  const error = errorOf(text, hostname)
  const mistakes = error.details?.['mistakes'] as { key: string; problem: string; write: string }[]
  for (const { key, problem, write } of mistakes) {
    const said = error.message.includes(`${key} ${problem}; write ${write}`)
    if (!said) throw new Error(`the message leaves out ${key}: ${error.message}`)
  }
  return mistakes.map(({ key, problem }) => `${key}: ${problem}`)
}

void t.test('a complete file is taken as it stands', async (t) => {
  const config = parseAgentConfig(
    `
controller = "https://deploy.example.com/"
pin = ["${'p'.repeat(43)}", "${'q'.repeat(43)}"]
channel-binding = "off"
redirects = ["https://cdn.example.com/"]
name = "web-1"
state = "/srv/lockstep/"
trust = "/srv/trust.json"
[apps.shop]
environment = "production"
root = "/var/www/sites/shop/"
keep = 3
shared = [".env", "storage/", "config/local.php"]
reload = ["php8.2-fpm.service", "worker@1.service"]
[apps.blog]
environment = "staging"
root = "/var/www/sites/shop-blog"
`,
    context,
  )
  t.same(config, {
    controller: 'https://deploy.example.com',
    pins: ['p'.repeat(43), 'q'.repeat(43)],
    channelBinding: 'off',
    redirects: ['https://cdn.example.com'],
    name: 'web-1',
    state: '/srv/lockstep',
    trust: { file: '/srv/trust.json', isNamed: true },
    labels: {},
    apps: [
      {
        app: 'shop',
        environment: 'production',
        root: '/var/www/sites/shop',
        keep: 3,
        shared: [
          { path: '.env', type: 'file' },
          { path: 'storage', type: 'directory' },
          { path: 'config/local.php', type: 'file' },
        ],
        reload: ['php8.2-fpm.service', 'worker@1.service'],
        ...nothingElse,
      },
      {
        app: 'blog',
        environment: 'staging',
        root: '/var/www/sites/shop-blog',
        keep: 5,
        shared: [],
        reload: [],
        ...nothingElse,
      },
    ],
  })
})

void t.test('what is left out has its default, and the value is frozen', async (t) => {
  const config = parseAgentConfig(minimal, context)
  t.equal(config.name, 'web-1.example.com', 'the machine’s own name')
  t.equal(config.state, '/var/lib/lockstep')
  t.match(config.apps, [{ keep: 5, shared: [], reload: [] }])
  t.ok(Object.isFrozen(config) && Object.isFrozen(config.apps) && Object.isFrozen(config.apps[0]))
})

void t.test('a path of the controller behind a proxy is kept', async (t) => {
  const text = minimal.replace('deploy.example.com', 'example.com:8443/lockstep/')
  t.equal(parseAgentConfig(text, context).controller, 'https://example.com:8443/lockstep')
})

void t.test('all mistakes are reported together', async (t) => {
  t.same(
    mistakesOf(`
controler = "https://deploy.example.com"
name = "not a name"
state = "var/lib"
[apps.shop]
environment = "Production"
root = "sites/shop"
keep = 0
healthy = { url = "http://127.0.0.1/healthz", for = "10s" }
`),
    [
      'controler: is no known key',
      'controller: is missing',
      'name: is wrong: "not a name" is no host name',
      'state: "var/lib" is not absolute',
      'apps.shop.healthy: is no known key',
      'apps.shop.environment: is wrong: "Production" is no environment',
      'apps.shop.root: "sites/shop" is not absolute',
      'apps.shop.keep: 0 is no such number',
    ],
  )
})

void t.test('plain HTTP goes to this machine alone, or where its owner says so', async (t) => {
  for (const host of ['127.0.0.1:7070', 'localhost', '[::1]:7070']) {
    const text = minimal.replace('https://deploy.example.com', `http://${host}`)
    t.equal(parseAgentConfig(text, context).controller, `http://${host}`)
  }
  const forced = `plain-http = true${minimal.replace('https://', 'http://')}`
  t.equal(parseAgentConfig(forced, context).controller, 'http://deploy.example.com')
})

void t.test('each key refuses what it cannot be', async (t) => {
  const cases: [text: string, mistake: RegExp][] = [
    [
      minimal.replace('"https://deploy.example.com"', '5'),
      /^controller: is no text in quotes but 5/,
    ],
    [minimal.replace('https://', 'ftp://'), /^controller: .* is no http or https address/],
    [minimal.replace('https://deploy', 'deploy'), /^controller: .* is no http or https address/],
    [minimal.replace('//deploy', '//u:p@deploy'), /^controller: .* holds credentials/],
    [minimal.replace('.com', '.com/?a=b'), /^controller: .* has a query/],
    [minimal.replace('https://', 'http://'), /^controller: .* is plain HTTP to another machine/],
    [`plain-http = 1${minimal}`, /^plain-http: is no truth value/],
    [`pin = "x"${minimal}`, /^pin: is no list/],
    [
      `plain-http = true\npin = ["${'p'.repeat(43)}"]${minimal.replace('https://', 'http://')}`,
      /^pin: is never looked at/,
    ],
    [`pin = ["x"]${minimal}`, /^pin\[0\]: .* is no pin/],
    [
      `pin = ["${['a', 'b', 'c'].map((l) => l.repeat(43)).join('", "')}"]${minimal}`,
      /^pin: names 3/,
    ],
    [`channel-binding = "no"${minimal}`, /^channel-binding: .* is neither/],
    [`channel-binding = 1${minimal}`, /^channel-binding: is no text/],
    [`redirects = "x"${minimal}`, /^redirects: is no list/],
    ...['deploy', 'ftp://a', 'https://a/path', 'https://u:p@a', 'https://a?b', 'https://a#b'].map(
      (origin): [string, RegExp] => [
        `redirects = ["${origin}"]${minimal}`,
        /^redirects\[0\]: .* is no origin/,
      ],
    ),
    [minimal.replace('[apps.shop]', '[apps.Shop]'), /^apps.Shop: is wrong: "Shop" is no app/],
    [minimal.replace('"production"', '["a"]'), /^apps.shop.environment: is no text/],
    [minimal.replace('/var/www/sites/shop', '/'), /^apps.shop.root: is the root of the machine/],
    [minimal.replace('/var/www/sites/shop', '/var/../etc'), /^apps.shop.root: .* segment/],
    [minimal.replace('/var/www/sites/shop', '/var//www'), /^apps.shop.root: .* segment/],
    [minimal.replace('/var/www/sites/shop', '/var/\\u0007'), /^apps.shop.root: .* control/],
    [`${minimal}keep = 51`, /^apps.shop.keep: 51 is no such number/],
    [`${minimal}keep = 1.5`, /^apps.shop.keep: 1.5 is no such number/],
    [`${minimal}keep = "5"`, /^apps.shop.keep: "5" is no such number/],
    [`${minimal}shared = ".env"`, /^apps.shop.shared: is no list but ".env"/],
    [`${minimal}shared = [5]`, /^apps.shop.shared\[0\]: is no text in quotes but 5/],
    [`${minimal}shared = ["/etc/shop"]`, /^apps.shop.shared\[0\]: .* absolute path/],
    [`${minimal}shared = ["../x"]`, /^apps.shop.shared\[0\]: .* "\.\." segment/],
    [`${minimal}shared = ["/"]`, /^apps.shop.shared\[0\]: .* has no name/],
    [`${minimal}shared = ["a//b"]`, /^apps.shop.shared\[0\]: .* empty segment/],
    [`${minimal}shared = [".lockstep/x"]`, /^apps.shop.shared\[0\]: .* agent's own/],
    [`${minimal}shared = ["a/", "a/b"]`, /^apps.shop.shared\[1\]: .* one inside the other/],
    [`${minimal}shared = ["a", "a/"]`, /^apps.shop.shared\[1\]: .* one inside the other/],
    [`${minimal}reload = ["php8.2-fpm"]`, /^apps.shop.reload\[0\]: .* is no name of a unit/],
    [`${minimal}restart = ["worker"]`, /^apps.shop.restart\[0\]: .* is no name of a unit/],
    [`${minimal}reload = ["-x.service"]`, /^apps.shop.reload\[0\]: .* is no name of a unit/],
    [`${minimal}reload = ["a b.service"]`, /^apps.shop.reload\[0\]: .* is no name of a unit/],
    [`${minimal}[other]`, /^other: is no known key/],
    ['controller = "http://127.0.0.1:1"', /^apps: is missing/],
    ['controller = "http://127.0.0.1:1"\napps = 3', /^apps: is no section but 3/],
    ['controller = "http://127.0.0.1:1"\n[apps]', /^apps: names no app/],
    ['controller = "http://127.0.0.1:1"\n[apps]\nshop = 5', /^apps.shop: is no section but 5/],
  ]
  for (const [text, mistake] of cases) {
    const mistakes = mistakesOf(text)
    t.equal(mistakes.length, 1, `${mistakes.join(' | ')} is one mistake`)
    t.match(mistakes[0], mistake)
  }
})

void t.test('a machine whose name is no host name must be given one', async (t) => {
  t.match(mistakesOf(minimal, 'my_machine'), [/^name: is wrong: "my_machine" is no host name/])
})

void t.test('roots of two apps are neither the same nor nested', async (t) => {
  const withBlog = (root: string): string =>
    `${minimal}[apps.blog]\nenvironment = "production"\nroot = "${root}"\n`
  t.match(mistakesOf(withBlog('/var/www/sites/shop/')), [/^apps.blog.root: .* the same directory/])
  t.match(mistakesOf(withBlog('/var/www/sites/shop/blog')), [/^apps.blog.root: .* nested with/])
  t.match(mistakesOf(withBlog('/var/www')), [/^apps.blog.root: .* nested with/])
  t.ok(parseAgentConfig(withBlog('/var/www/sites/shop2'), context), 'a common prefix is no nesting')
})

void t.test('a syntax error carries line and column', async (t) => {
  const error = errorOf('controller = "https://deploy.example.com"\nname = web-1\n')
  t.equal(error.code, 'bad-configuration')
  t.match(error.message, /^\/etc\/lockstep\/agent\.toml is no TOML: line 2, column 8: /)
  t.match(error.details, { file: '/etc/lockstep/agent.toml', line: 2, column: 8 })
})

void t.test('commands are asked for their versions as the owner says', async (t) => {
  const section = (lines: string) => `${minimal}[apps.shop.commands]\n${lines}\n`
  const config = parseAgentConfig(
    section('blender = ["/opt/blender", "-v"]\nphp = ["php8.3"]'),
    context,
  )
  t.same(config.apps[0]?.commands, { blender: ['/opt/blender', '-v'], php: ['php8.3'] })
  t.same(
    mistakesOf(
      section('a = []\nb = "b"\nc = ["bin/c"]\nd = [1]\n"../e" = ["e"]\nf = ["f", "\\u0000"]'),
    ),
    [
      'apps.shop.commands.a: names no program',
      'apps.shop.commands.b: is no list but "b"',
      'apps.shop.commands.c: "bin/c" is neither absolute nor a bare name',
      'apps.shop.commands.d[0]: is no text in quotes but 1',
      'apps.shop.commands.../e: is no name of a command',
      'apps.shop.commands.f: has a NUL character, or a word over 4096 characters',
    ],
  )
})

void t.test('the group of releases can be chosen, and never their owner', async (t) => {
  const config = parseAgentConfig(`${minimal}group = "www-data"\n`, context)
  t.equal(config.apps[0]?.group, 'www-data')
  t.strictSame(mistakesOf(`${minimal}group = "root"\nowner = "www-data"\nuser = "www-data"\n`), [
    'apps.shop.owner: cannot be chosen: files of releases belong to the agent’s user',
    'apps.shop.user: cannot be chosen: files of releases belong to the agent’s user',
    'apps.shop.group: "root" is root’s',
  ])
  t.strictSame(mistakesOf(`${minimal}group = "a b"\n`), [
    'apps.shop.group: "a b" is no name of a group',
  ])
})
