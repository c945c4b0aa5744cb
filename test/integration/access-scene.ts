// What the tests of the access matrix share: a server with one place that every request is about, what
// came of a request, and the count of them.

import type { Test } from 'tap'
import type { Grant } from '#shared/api/token-schemas.ts'
import { asker, digestOf, shop } from '../support/fleet-facts.ts'
import { requestOf } from '../support/rollout-requests.ts'
import { openTestServer, routesOf } from '../support/test-server.ts'
import { accessTable, type Outcome, roles, type Scope, scopes } from './access-table.ts'

/** What the server says of what a caller may not see, and of nothing else in this test. */
const hiddenCodes = ['unknown-app', 'unknown-environment', 'unknown-rollout', 'unknown-host']

export interface Route {
  readonly method: string
  readonly path: string
  readonly url: string
  readonly entry: string
}

/** A place with a release, a host and a rollout; whatever would take them away does nothing. */
export async function openPlace(t: Test) {
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

export async function tokenOf(
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

export async function outcomeOf(place: Place, route: Route, text: string | null): Promise<Outcome> {
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
export class Tally {
  calls = 0
  readonly #outcomes = new Map<Outcome, number>()
  #wrong = 0
  readonly #test: Test

  constructor(test: Test) {
    this.#test = test
  }

  judge(what: string, found: Outcome, expected: Outcome): void {
    this.calls += 1
    this.#outcomes.set(found, (this.#outcomes.get(found) ?? 0) + 1)
    if (found === expected) return
    this.#wrong += 1
    if (this.#wrong <= 10) this.#test.fail(`${what}: ${found}, not ${expected}`)
  }

  get text(): string {
    const each = [...this.#outcomes].map(([outcome, count]) => `${count} ${outcome}`)
    return `${this.calls} calls: ${each.join(', ')}`
  }
}

export const grantsToTry = roles.flatMap((role) =>
  (Object.keys(scopes) as Scope[]).map((scope) => ({ role, scope })),
)
