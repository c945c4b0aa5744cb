// The statements that are taken: each spelling that is allowed, with the instant that it means.

import t from 'tap'
import { parseStatement } from '#shared/trust/statement.ts'
import { atOf, bytesOf, statement } from './signing.ts'

void t.test('a statement says when it ends, or that it does not', async (t) => {
  const taken = ['2026-12-31T00:00:00Z', '2028-02-29T23:59:59.999Z', '2000-01-01T00:00:00.000Z']
  for (const expires of taken) {
    const { expiresAt } = parseStatement(bytesOf({ ...statement, expires }))
    t.equal(expiresAt, atOf(expires), expires)
  }
  t.equal(parseStatement(bytesOf({ ...statement, expires: null })).expiresAt, null)
})

void t.test('a floor may be left out, and be the release itself', async (t) => {
  const { floor: _, ...without } = statement
  t.equal(parseStatement(bytesOf(without)).floor, undefined)
  t.equal(parseStatement(bytesOf({ ...statement, floor: 17 })).floor, 17)
})

void t.test('white space, order and escapes are the writer’s', async (t) => {
  const reversed = Object.fromEntries(Object.entries(statement).reverse())
  const expected = { ...statement, expiresAt: atOf(statement.expires) }
  t.same(parseStatement(bytesOf(JSON.stringify(reversed, null, '\t'))), expected)
  t.same(parseStatement(bytesOf(JSON.stringify(statement).replace('shop', 'sh\\u006fp'))), expected)
  const twice = { ...statement, environments: ['app', 'version', 'sequence'] }
  t.equal(parseStatement(bytesOf(twice)).environments.length, 3, 'values may be members’ names')
})
