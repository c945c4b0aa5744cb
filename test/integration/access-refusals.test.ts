// Every route that the server has, with what is no right token for it: a wrong secret, expired, revoked,
// of every role in every scope; none at all; and what is good for something else.

import t from 'tap'
import { contentToken } from '#controller/access/content-token.ts'
import { AgentKey } from '../support/agent-key.ts'
import { asker, shop } from '../support/fleet-facts.ts'
import { grantsToTry, openPlace, outcomeOf, Tally, tokenOf } from './access-scene.ts'
import { scopes } from './access-table.ts'

void t.test('a token that is not right is none at all, whatever it was good for', async (t) => {
  const place = await openPlace(t)
  const { clock, database } = place
  // A head is decided as its get is.
  const routes = place.routes.filter(({ method }) => method !== 'HEAD')
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
      for (const route of routes) {
        const what = `${route.method} ${route.path} as ${role} of ${scope}, ${state}`
        const isOpen = ['open', 'agents'].includes(route.entry)
        const expected = isOpen ? 'allowed' : 'unauthorised'
        tally.judge(what, await outcomeOf(place, route, text), expected)
      }
    }
  }
  t.equal(tally.calls, routes.length * grantsToTry.length * 4)
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
