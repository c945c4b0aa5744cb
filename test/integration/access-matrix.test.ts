// Every route that the server has, with every role in every scope, each token right, with a wrong
// secret, expired and revoked, and with everything else that may be shown for one. What is right is
// said by a table of its own, test/integration/access-table.ts.

import t, { type Test } from 'tap'
import { contentToken } from '#controller/access/content-token.ts'
import type { Grant } from '#shared/api/token-schemas.ts'
import { AgentKey } from '../support/agent-key.ts'
import { asker, digestOf, shop } from '../support/fleet-facts.ts'
import { requestOf } from '../support/rollout-requests.ts'
import { openTestServer, routesOf } from '../support/test-server.ts'
import { accessTable, expectedOf, type Outcome, roles, type Scope, scopes } from './access-table.ts'

/** What the server says of what a caller may not see, and of nothing else in this test. */
const hiddenCodes = ['unknown-app', 'unknown-environment', 'unknown-rollout', 'unknown-host']

interface Route {
  readonly method: string
  readonly path: string
  readonly url: string
  readonly entry: string
}

/** A place with a release, a host and a rollout; whatever would take them away does nothing. */
async function openPlace(t: Test) {
  const there = await openTestServer(t)
  const { server, ports, clock } = there
  const at = clock.now()
  const { host } = await there.enrol('web-1')
  for (const environment of ['staging', 'production']) {
    for (const app of ['shop', 'blog']) await ports.environments.open({ app, environment })
  }
  const release = { version: '1.0.0', tree: digestOf('1') }
  await ports.releases.publish({
    app: 'shop',
    ...release,
    artifact: digestOf('2'),
    artifactBytes: 1,
    treeBytes: 1,
    entries: 1,
    publishedAt: at,
    publishedBy: 'test',
    statement: null,
    sequence: null,
    requires: null,
  })
  const runner = ports.environments.of(shop)
  await runner?.desire(requestOf('r-1', release), asker)
  await runner?.cancel('r-1', asker)
  const victim = await tokenOf(there, [{ role: 'viewer', ...shop }])
  ports.hosts.remove = async () => undefined
  ports.environments.remove = () => undefined
  ports.tokens.revoke = async () => undefined
  // The stream of events would last.
  ports.openStreams.add = (_token, end) => {
    setImmediate(end)
    return () => undefined
  }
  const parameters: Readonly<Record<string, string>> = {
    app: 'shop',
    environment: 'production',
    version: '1.0.0',
    digest: release.tree,
    rollouts: 'r-1',
    hosts: host,
    tokens: victim.id,
  }
  const routes = routesOf(server).map(({ method, path }): Route => {
    const url = path
      .replaceAll(/:(app|environment|version|digest)/g, (_, name: string) => parameters[name] ?? '')
      .replaceAll(/(\w+)\/:id/g, (_, of: string) => `${of}/${parameters[of] ?? ''}`)
      // What would be removed for good is asked of a version that there is not.
      .replace(/^(.*)1\.0\.0$/, method === 'DELETE' ? '$19.9.9' : '$&')
    // A head is what its get is.
    const name = `${method === 'HEAD' ? 'GET' : method} ${path}`
    return { method, path, url, entry: accessTable[name] ?? 'nothing' }
  })
  return { ...there, host, routes }
}

async function tokenOf(
  { ports, clock }: Pick<Awaited<ReturnType<typeof openTestServer>>, 'ports' | 'clock'>,
  grants: readonly Grant[],
  lifeMs = 1e6,
) {
  const createdAt = clock.now()
  const { text, token } = await ports.tokens.create({
    kind: 'api',
    grants,
    owner: null,
    apps: [],
    createdAt,
    expiresAt: createdAt + lifeMs,
    usesMax: null,
    ...asker,
  })
  return { text, id: token.id }
}

type Place = Awaited<ReturnType<typeof openPlace>>

async function outcomeOf(place: Place, route: Route, text: string | null): Promise<Outcome> {
  const answer = await place.server.inject({
    method: route.method as 'GET',
    url: route.url,
    headers: text === null ? {} : { authorization: `Bearer ${text}` },
    // Whoever is let in fails at the body, and changes nothing.
    ...(route.method.startsWith('P') ? { payload: { nothing: 'of the kind' } } : {}),
  })
  const { statusCode: status } = answer
  if (status >= 500) throw new Error(`${route.method} ${route.url} ${status} ${answer.body}`)
  if (status === 401) return 'unauthorised'
  if (route.method === 'HEAD') {
    // It has no body that would say why: its get says so.
    return status < 400 ? 'allowed' : outcomeOf(place, { ...route, method: 'GET' }, text)
  }
  const code = status >= 400 ? String(answer.json().code) : ''
  if (status === 403 && code === 'forbidden') return 'forbidden'
  return status === 404 && hiddenCodes.includes(code) ? 'hidden' : 'allowed'
}

/** Counts what was tried, and says only what went wrong: there are thousands. */
class Tally {
  calls = 0
  readonly #outcomes = new Map<Outcome, number>()
  readonly #test: Test

  constructor(test: Test) {
    this.#test = test
  }

  judge(what: string, found: Outcome, expected: Outcome): void {
    this.calls += 1
    this.#outcomes.set(found, (this.#outcomes.get(found) ?? 0) + 1)
    if (found !== expected) this.#test.fail(`${what}: ${found}, not ${expected}`)
  }

  get text(): string {
    const each = [...this.#outcomes].map(([outcome, count]) => `${count} ${outcome}`)
    return `${this.calls} calls: ${each.join(', ')}`
  }
}

const grantsToTry = roles.flatMap((role) =>
  (Object.keys(scopes) as Scope[]).map((scope) => ({ role, scope })),
)

void t.test('every route is in the table, and the table names no other', async (t) => {
  const { routes, server } = await openPlace(t)
  const there = routes.filter(({ method }) => method !== 'HEAD')
  t.same(
    there.map(({ method, path }) => `${method} ${path}`).toSorted(),
    Object.keys(accessTable).toSorted(),
  )
  t.same(
    routes.filter(({ entry }) => entry === 'nothing').map(({ path }) => path),
    [],
  )
  const { paths } = (await server.inject('/openapi.json')).json()
  let described = 0
  for (const { method, path, entry } of there) {
    const operation = paths[path.replaceAll(/:(\w+)/g, '{$1}')]?.[method.toLowerCase()]
    if (operation === undefined) continue
    const access = operation['x-access']
    const { action, scope } = typeof access === 'string' ? { action: access, scope: '' } : access
    const declared = `${action} ${scope === 'none' ? 'anywhere' : scope}`.trim()
    t.equal(declared, entry === 'agents' ? 'agent' : entry, `${method} ${path}`)
    described += 1
  }
  t.ok(described >= there.length - 1, 'all but the document itself')
  t.comment(`${routes.length} routes, 0 undeclared`)
})

void t.test('every role in every scope gets exactly what the table says', async (t) => {
  const place = await openPlace(t)
  const tally = new Tally(t)
  for (const { role, scope } of grantsToTry) {
    const { text } = await tokenOf(place, [{ role, ...scopes[scope] }])
    for (const route of place.routes) {
      const what = `${route.method} ${route.path} as ${role} of ${scope}`
      const expected = expectedOf(route.entry, role, scope)
      tally.judge(what, await outcomeOf(place, route, text), expected)
    }
  }
  t.equal(tally.calls, place.routes.length * roles.length * Object.keys(scopes).length)
  t.comment(tally.text)
})

void t.test('grants are not added up: what each allows, and no more', async (t) => {
  const place = await openPlace(t)
  const tally = new Tally(t)
  const order: readonly Outcome[] = ['hidden', 'forbidden', 'allowed']
  const pairs: readonly (readonly [(typeof roles)[number], Scope])[] = [
    ['admin', 'another app'],
    ['viewer', 'the place itself'],
    ['publisher', 'the app'],
    ['deployer', 'another environment'],
    ['admin', 'another environment in every app'],
    ['viewer', 'everything'],
  ]
  for (const one of pairs) {
    for (const other of pairs) {
      const grants = [one, other].map(([role, scope]) => ({ role, ...scopes[scope] }))
      const { text } = await tokenOf(place, grants)
      for (const route of place.routes) {
        const expected = [one, other].map(([role, scope]) => expectedOf(route.entry, role, scope))
        const best = Math.max(...expected.map((outcome) => order.indexOf(outcome)))
        const what = `${route.method} ${route.path} as ${JSON.stringify([one, other])}`
        tally.judge(what, await outcomeOf(place, route, text), order[best] ?? 'hidden')
      }
    }
  }
  t.equal(tally.calls, place.routes.length * pairs.length ** 2)
  t.comment(tally.text)
})

void t.test('a token that is not right is none at all, whatever it was good for', async (t) => {
  const place = await openPlace(t)
  const { clock, database } = place
  const tally = new Tally(t)
  for (const { role, scope } of grantsToTry) {
    const grants = [{ role, ...scopes[scope] }]
    const right = await tokenOf(place, grants)
    const [prefix = '', id = '', secret = ''] = right.text.split('.')
    const other = (await tokenOf(place, grants)).text.split('.')[2] ?? ''
    const expired = await tokenOf(place, grants, 1)
    const revoked = await tokenOf(place, grants)
    await database.db.deleteFrom('token').where('id', '=', revoked.id).execute()
    clock.advance(1)
    const bad = {
      'with the secret of another': `${prefix}.${id}.${other}`,
      'with its secret cut': `${prefix}.${id}.${secret.slice(1)}`,
      'expired': expired.text,
      'revoked': revoked.text,
    }
    for (const [state, text] of Object.entries(bad)) {
      for (const route of place.routes) {
        const what = `${route.method} ${route.path} as ${role} of ${scope}, ${state}`
        const isOpen = ['open', 'agents'].includes(route.entry)
        const expected = isOpen ? 'allowed' : 'unauthorised'
        tally.judge(what, await outcomeOf(place, route, text), expected)
      }
    }
  }
  t.equal(tally.calls, place.routes.length * grantsToTry.length * 4)
  t.comment(tally.text)
})

void t.test('nothing else that is shown for a token opens what is not its own', async (t) => {
  const place = await openPlace(t)
  const { ports, clock, host } = place
  const tally = new Tally(t)
  const at = clock.now()
  const join = await ports.tokens.create({
    kind: 'join',
    grants: [],
    owner: null,
    apps: [shop],
    createdAt: at,
    expiresAt: at + 1e6,
    usesMax: 1,
    ...asker,
  })
  const secret = ports.contentSecret
  const nothing = {
    'no token': null,
    'nonsense': 'nonsense',
    'a join token': join.text,
    'a join token as an API token': join.text.replace('lsj1', 'lsk1'),
    'a content token of another controller': contentToken(Buffer.alloc(32), host, at + 1e6),
    'an expired content token': contentToken(secret, host, at),
    'a content token of a host that is not enrolled': contentToken(
      secret,
      new AgentKey().host,
      at + 1e6,
    ),
    'a content token': contentToken(secret, host, at + 1e6),
  }
  for (const [what, text] of Object.entries(nothing)) {
    for (const route of place.routes) {
      const isOpen = ['open', 'agents'].includes(route.entry)
      // What its host is told is another question: test/integration/content-access.test.ts.
      const isTheirs = what === 'a content token' && route.entry === 'content'
      const expected = isOpen || isTheirs ? 'allowed' : 'unauthorised'
      const found = await outcomeOf(place, route, text)
      tally.judge(`${route.method} ${route.path} with ${what}`, found, expected)
    }
  }
  t.equal(tally.calls, place.routes.length * Object.keys(nothing).length)
  t.comment(tally.text)
})
