// Every route that the server has, with every role in every scope. What is right is said by a table of
// its own, test/integration/access-table.ts; what is no right token, by access-refusals.test.ts.

import t from 'tap'
import { grantsToTry, openPlace, outcomeOf, Tally, tokenOf } from './access-scene.ts'
import { accessTable, expectedOf, type Outcome, roles, type Scope, scopes } from './access-table.ts'

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
  // A head is decided as its get is.
  const routes = place.routes.filter(({ method }) => method !== 'HEAD')
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
      for (const route of routes) {
        const expected = [one, other].map(([role, scope]) => expectedOf(route.entry, role, scope))
        const best = Math.max(...expected.map((outcome) => order.indexOf(outcome)))
        const what = `${route.method} ${route.path} as ${JSON.stringify([one, other])}`
        tally.judge(what, await outcomeOf(place, route, text), order[best] ?? 'hidden')
      }
    }
  }
  t.equal(tally.calls, routes.length * pairs.length ** 2)
  t.comment(tally.text)
})
