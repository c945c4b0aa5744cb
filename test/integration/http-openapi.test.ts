// The OpenAPI document: of every route, with who may call it, and in a form that tools can read.

import t, { type Test } from 'tap'
import { openTestServer, routesOf } from '../support/test-server.ts'

interface Operation {
  readonly tags?: readonly string[]
  readonly security?: readonly object[]
  readonly parameters?: readonly { name: string; in: string; required: boolean; schema: object }[]
  readonly requestBody?: { readonly content: Record<string, { readonly schema: object }> }
  readonly responses: Record<string, { readonly description: string; readonly content?: object }>
}

interface Document {
  readonly openapi: string
  readonly info: { readonly title: string; readonly version: string }
  readonly paths: Record<string, Record<string, Operation>>
}

async function openDocument(t: Test) {
  const there = await openTestServer(t)
  const answer = await there.server.inject('/openapi.json')
  const document: Document = answer.json()
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )
  return { ...there, answer, document, operations }
}

void t.test('it is for everybody, and says what it is', async (t) => {
  const { answer, document } = await openDocument(t)
  t.equal(answer.statusCode, 200)
  t.match(answer.headers['content-type'], /^application\/json/)
  t.match(document, { openapi: /^3\.1\./, info: { title: 'Lockstep', version: '0.0.0-test' } })
})

void t.test('it has every route of the server, and no other', async (t) => {
  const { server, operations } = await openDocument(t)
  const described = operations.map(({ path, method }) => `${method.toUpperCase()} ${path}`)
  const there = routesOf(server)
    .filter(({ method, path }) => method !== 'HEAD' && path !== '/openapi.json')
    .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`)
  t.same(described.filter((route) => !route.startsWith('HEAD')).toSorted(), there.toSorted())
})

void t.test('every operation says who may call it, what it takes and how it refuses', async (t) => {
  const { operations, server } = await openDocument(t)
  for (const { path, method, operation } of operations) {
    const route = `${method} ${path}`
    t.ok((operation.tags ?? []).length === 1, `${route} has a tag`)
    const placeholders = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
    const named = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path')
    t.same(
      named.map(({ name }) => name),
      placeholders,
      route,
    )
    for (const { required } of named) t.equal(required, true)
    const statuses = Object.keys(operation.responses)
    t.ok(
      statuses.some((status) => /^2\d\d$/.test(status)),
      `${route} says what it answers`,
    )
    t.match(JSON.stringify(operation.responses['default']), /"code".*"message"/, route)
    const isOpen = operation.security !== undefined && operation.security.length === 0
    const url = path.replaceAll(/\{\w+\}/g, 'x')
    const { statusCode } = await server.inject({ method: method.toUpperCase() as 'GET', url })
    t.equal(statusCode === 401, !isOpen, `${route} is ${isOpen ? 'open' : 'not open'}`)
    const takesReason = (operation.parameters ?? []).some(({ name }) => name === 'lockstep-reason')
    t.equal(takesReason, !isOpen && !/^(?:get|head)$/.test(method), `${route} and its reason`)
  }
})

void t.test('nothing in it is left out of JSON Schema', async (t) => {
  const { document } = await openDocument(t)
  const text = JSON.stringify(document)
  t.notMatch(text, /~kind|\[object|undefined/)
  for (const type of text.matchAll(/"type":"([^"]+)"/g)) {
    t.match(type[1], /^(?:object|array|string|number|integer|boolean|null|http)$/)
  }
})
