// Who may call what, and how a refusal looks: over every route that the server has.

import fastify, { type InjectOptions } from 'fastify'
import t from 'tap'
import { contentToken } from '#controller/access/content-token.ts'
import { requireAccess } from '#controller/http/access.ts'
import { limits } from '#shared/limits.ts'
import { asker, digestOf } from '../support/fleet-facts.ts'
import { openTestServer, routesOf, type TestServer } from '../support/test-server.ts'

/** Routes that anybody may call: nothing is behind them that needs keeping. */
const open = ['/healthz', '/readyz', '/openapi.json', '/v1/agent/challenge', '/v1/enrol']
/** Routes that agents call with the token of their session. */
const content = [
  '/v1/trees/:digest/manifest',
  '/v1/trees/:digest/pack',
  '/v1/trees/:digest/statements/:app/:version',
]

const parameters: Readonly<Record<string, string>> = {
  app: 'shop',
  version: '1.0.0',
  environment: 'production',
  digest: digestOf('a'),
  id: 'a'.repeat(26),
}

function addressOf(path: string): string {
  return path.replaceAll(/:(\w+)/g, (_, name: string) => parameters[name] ?? `unknown-${name}`)
}

async function callAll(
  { server }: TestServer,
  headers: Record<string, string>,
): Promise<readonly { route: string; path: string; status: number; body: string }[]> {
  const answers = []
  for (const { method, path } of routesOf(server)) {
    // It never ends: test/integration/events.test.ts follows it over a real socket.
    if (path === '/v1/events' && headers['authorization'] !== undefined) continue
    const answer = await server.inject({ method: method as 'GET', url: addressOf(path), headers })
    const route = `${method} ${path}`
    answers.push({ route, path, status: answer.statusCode, body: answer.body })
  }
  return answers
}

void t.test('the routes are those of the interface', async (t) => {
  const { server } = await openTestServer(t)
  const routes = routesOf(server)
  t.ok(routes.length > 30, 'they were all found')
  for (const route of ['PUT /v1/apps/:app/releases/:version', 'GET /v1/hosts', 'POST /v1/enrol']) {
    t.ok(
      routes.some(({ method, path }) => `${method} ${path}` === route),
      route,
    )
  }
})

void t.test('no answer is anything to a browser but data, refusals included', async (t) => {
  const test = await openTestServer(t)
  const { server } = test
  const authorization = `Bearer ${test.token}`
  for (const { method, path } of routesOf(server)) {
    for (const headers of [{}, { authorization }]) {
      // It never ends: test/integration/events.test.ts looks at its head.
      if (path === '/v1/events' && 'authorization' in headers) continue
      const url = addressOf(path)
      const answer = await server.inject({ method: method as 'GET', url, headers })
      const what = `${method} ${path} ${answer.statusCode}`
      t.match(answer.headers['content-security-policy'], /^default-src 'none';/, what)
      t.equal(answer.headers['x-content-type-options'], 'nosniff', what)
      t.notOk('access-control-allow-origin' in answer.headers, what)
    }
  }
  const lost = await server.inject({ url: '/nowhere' })
  t.match(lost.headers['content-security-policy'], /^default-src 'none';/, 'no route at all')
})

void t.test('without a token nothing but the open routes answers', async (t) => {
  for (const { route, path, status, body } of await callAll(await openTestServer(t), {})) {
    if (open.includes(path)) t.not(status, 401, route)
    else t.equal(status, 401, route)
    if (status === 401 && !route.startsWith('HEAD')) t.match(JSON.parse(body), unauthorised, route)
  }
})

const unauthorised = { code: 'unauthorised', message: /./, hint: /token/i }

void t.test('no bad token is taken for a good one', async (t) => {
  const there = await openTestServer(t)
  const { clock, ports, token } = there
  const at = clock.now()
  const create = async (kind: 'join' | 'api', expiresAt: number) => {
    const apps = kind === 'join' ? [{ app: 'shop', environment: 'production' }] : []
    const admin = { role: 'admin', app: '*', environment: '*' } as const
    const grants = kind === 'api' ? [admin] : []
    const more = { grants, owner: null, apps, createdAt: at, usesMax: 1 }
    return ports.tokens.create({ kind, expiresAt, ...more, ...asker })
  }
  const expired = await create('api', at)
  const revoked = await create('api', at + 1e6)
  await ports.tokens.revoke(revoked.token.id, { ...asker, at })
  const join = await create('join', at + 1e6)
  const strangersToken = contentToken(Buffer.alloc(32), 'h'.repeat(26), at + 1e6)
  const bad = {
    'nonsense': 'Bearer nonsense',
    'another scheme': `Basic ${token}`,
    'no scheme': token,
    'two tokens': `Bearer ${token} ${token}`,
    'a cut one': `Bearer ${token.slice(0, -1)}`,
    'an expired one': `Bearer ${expired.text}`,
    'a revoked one': `Bearer ${revoked.text}`,
    'a join token': `Bearer ${join.text}`,
    'a content token of another controller': `Bearer ${strangersToken}`,
    'an expired content token': `Bearer ${contentToken(Buffer.alloc(32, 7), 'h'.repeat(26), at)}`,
  }
  for (const [what, authorization] of Object.entries(bad)) {
    for (const { route, path, status } of await callAll(there, { authorization })) {
      if (open.includes(path)) t.not(status, 401, `${what}: ${route}`)
      else t.equal(status, 401, `${what}: ${route}`)
    }
  }
})

void t.test('a good token opens every route', async (t) => {
  const there = await openTestServer(t)
  const authorization = `Bearer ${there.token}`
  for (const { route, status } of await callAll(there, { authorization })) {
    t.ok(status !== 401 && status < 500, `${route} ${status}`)
  }
})

void t.test('an agent reads content with its session\u2019s token, and nothing else', async (t) => {
  const there = await openTestServer(t)
  const { host } = await there.enrol('web-1')
  const expiresAt = there.clock.now() + limits.contentTokenMs
  const authorization = `Bearer ${contentToken(there.ports.contentSecret, host, expiresAt)}`
  for (const { route, path, status } of await callAll(there, { authorization })) {
    if (content.includes(path)) t.equal(status, 403, `${route}: not told of it`)
    else if (!open.includes(path)) t.equal(status, 401, route)
  }
  await there.ports.hosts.remove(host, { ...asker, at: 1 })
  const url = addressOf('/v1/trees/:digest/manifest')
  const removed = await there.server.inject({ url, headers: { authorization } })
  t.equal(removed.statusCode, 401, 'a removed host reads nothing more')
})

void t.test('a refused token is answered with the scheme that is wanted', async (t) => {
  const { server } = await openTestServer(t)
  const { headers } = await server.inject('/v1/hosts')
  t.match(headers['www-authenticate'], /^Bearer/)
})

void t.test('a route that does not declare its access is not let into the server', async (t) => {
  const { ports } = await openTestServer(t)
  const server = fastify()
  requireAccess(server, ports)
  t.throws(() => server.get('/new', () => 'secret'), { message: /GET \/new does not declare/ })
  t.throws(() => server.get('/other', { config: {} }, () => 'secret'), { message: /declare/ })
})

void t.test('every refusal is one body with a code, a message and a hint', async (t) => {
  const { server, token, errors } = await openTestServer(t)
  const authorization = `Bearer ${token}`
  const json = 'application/json'
  const desired = '/v1/apps/shop/environments/production/desired'
  const cases: readonly [string, InjectOptions, number, string][] = [
    ['no such address', { url: '/nope' }, 404, 'not-found'],
    ['no such method', { method: 'DELETE', url: '/v1/apps' }, 404, 'not-found'],
    ['an address that is none', { url: '/v1/apps/%zz/releases' }, 400, 'bad-request'],
    ['a very long name', { url: `/v1/apps/${'a'.repeat(200)}/releases` }, 400, 'bad-request'],
    ['a bad app', { url: '/v1/apps/Shop/releases' }, 400, 'bad-request'],
    ['a bad version', { url: '/v1/apps/shop/releases/1..2/artifact' }, 400, 'bad-request'],
    ['a bad environment', { url: '/v1/apps/shop/environments/P%20' }, 400, 'bad-request'],
    ['a bad digest', { url: `/v1/trees/${'A'.repeat(64)}/manifest` }, 400, 'bad-request'],
    ['a path in a name', { url: '/v1/apps/..%2f..%2fetc/releases' }, 400, 'bad-request'],
    ['a bad limit', { url: '/v1/facts?limit=0' }, 400, 'bad-request'],
    ['a bad cursor', { url: '/v1/facts?after=x' }, 400, 'bad-request'],
    ['a query that there is not', { url: '/v1/facts?limits=1' }, 400, 'bad-request'],
    ['a query twice', { url: '/v1/facts?limit=1&limit=2' }, 400, 'bad-request'],
    ['no body', { method: 'PUT', url: desired }, 400, 'bad-request'],
    [
      'an empty body',
      { method: 'PUT', url: desired, headers: { 'content-type': json } },
      400,
      'bad-request',
    ],
    [
      'no JSON',
      { method: 'PUT', url: desired, headers: { 'content-type': json }, payload: '{' },
      400,
      'bad-request',
    ],
    [
      'a poisoned prototype',
      {
        method: 'PUT',
        url: desired,
        headers: { 'content-type': json },
        payload: '{"version":"1","__proto__":{"allowEmpty":true}}',
      },
      400,
      'bad-request',
    ],
    [
      'a body of another type',
      { method: 'PUT', url: desired, headers: { 'content-type': 'text/plain' }, payload: 'x' },
      400,
      'bad-request',
    ],
    [
      'a member that there is not',
      { method: 'PUT', url: desired, payload: { version: '1', forced: true } },
      400,
      'bad-request',
    ],
    [
      'a body over the limit',
      { method: 'PUT', url: desired, payload: { version: 'x'.repeat(limits.bodyBytesMax) } },
      413,
      'too-large',
    ],
    [
      'an empty key',
      {
        method: 'PUT',
        url: desired,
        headers: { 'idempotency-key': '' },
        payload: { version: '1' },
      },
      400,
      'bad-request',
    ],
    [
      'an app that was never published',
      { method: 'PUT', url: desired, payload: { version: '1' } },
      404,
      'unknown-app',
    ],
    ['no such environment', { url: '/v1/apps/shop/environments/qa' }, 404, 'unknown-environment'],
    ['no such rollout', { url: '/v1/rollouts/x%00y' }, 404, 'unknown-rollout'],
    ['no such host', { method: 'DELETE', url: `/v1/hosts/${'x'.repeat(26)}` }, 404, 'unknown-host'],
    ['no such token', { method: 'DELETE', url: `/v1/tokens/${'x'.repeat(11)}` }, 404, 'not-found'],
    ['no such tree', { url: `/v1/trees/${digestOf('a')}/pack` }, 404, 'unknown-tree'],
    [
      'a body that is no tarball',
      { method: 'PUT', url: '/v1/apps/shop/releases/1' },
      400,
      'bad-request',
    ],
  ]
  for (const [what, call, status, code] of cases) {
    const headers = { authorization, ...call.headers }
    const answer = await server.inject({ ...call, headers })
    t.equal(answer.statusCode, status, what)
    t.match(answer.headers['content-type'], /^application\/json/, what)
    t.match(answer.json(), { code, message: /./, hint: /./ }, what)
  }
  t.same(errors, [], 'none of it is an error of the controller\u2019s')
})

void t.test('a mistake is named by where it is', async (t) => {
  const { server, token } = await openTestServer(t)
  const headers = { authorization: `Bearer ${token}` }
  const bad = await server.inject({ url: '/v1/apps/Shop/releases', headers })
  t.match(bad.json(), { message: /params\/app/ })
  const url = '/v1/apps/shop/environments/production/desired'
  const payload = { version: '1', require: 'most' }
  const body = await server.inject({ method: 'PUT', url, headers, payload })
  t.match(body.json(), { message: /body\/require/ })
})

void t.test('what the program does wrong is logged and not shown', async (t) => {
  const broken = () => Promise.reject(new Error('a secret of the program'))
  const there = await openTestServer(t)
  there.ports.tokens.list = broken
  const headers = { authorization: `Bearer ${there.token}` }
  const answer = await there.server.inject({ url: '/v1/tokens', headers })
  t.equal(answer.statusCode, 500)
  t.same(answer.json(), {
    code: 'internal',
    message: 'the controller failed to answer',
    hint: 'Its log says why.',
  })
  t.match(there.errors, [{ err: { message: 'a secret of the program' } }])
})

void t.test('a database that is full or busy is said as that', async (t) => {
  const there = await openTestServer(t)
  const headers = { authorization: `Bearer ${there.token}` }
  const failing = async (code: string) => {
    there.ports.tokens.list = () => Promise.reject(Object.assign(new Error('no'), { code }))
    const answer = await there.server.inject({ url: '/v1/tokens', headers })
    return { status: answer.statusCode, body: answer.json() }
  }
  t.match(await failing('SQLITE_FULL'), { status: 507, body: { code: 'no-space', hint: /./ } })
  t.match(await failing('SQLITE_BUSY'), { status: 503, body: { code: 'busy', hint: /./ } })
  t.match(await failing('SQLITE_IOERR_FSYNC'), { status: 503, body: { code: 'busy', hint: /./ } })
})
