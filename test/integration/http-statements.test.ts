// Signed statements over HTTP: carried byte by byte with the one release that they are of, and none
// of their signatures is lost by chance.

import t, { type Test } from 'tap'
import { helloOf, observedOf } from '../support/fleet-facts.ts'
import { RunningController } from '../support/running-controller.ts'
import {
  ann,
  bytesOf,
  ci,
  digestOf,
  envelopeOf,
  mallory,
  signedStatement,
  statement as anyStatement,
  textOf,
} from '../unit/shared/trust/signing.ts'

const path = '/v1/apps/shop/releases/1.4.0/statement'

interface Published {
  tree: string
  artifact: string
  artifactBytes: number
}

async function openSigned(t: Test) {
  const controller = await RunningController.start(t)
  await controller.publish('1.4.0')
  const list = '/v1/apps/shop/releases'
  const { items } = await controller.ask<{ items: Published[] }>('GET', list)
  const [published] = items
  if (published === undefined) throw new Error('nothing was published')
  const { tree, artifact, artifactBytes } = published
  const statement = { ...anyStatement, tree, artifact: { sha256: artifact, bytes: artifactBytes } }
  return {
    controller,
    tree,
    statement,
    put: (body: Uint8Array, at = path) => controller.call('PUT', at, { body }),
    fetched: async (at = path, token = controller.adminToken) => {
      const headers = { authorization: `Bearer ${token}` }
      const response = await fetch(`${controller.url}${at}`, { headers })
      return Buffer.from(await response.arrayBuffer())
    },
    async shown() {
      const { items } = await controller.ask<{ items: unknown[] }>('GET', list)
      return items[0]
    },
  }
}

void t.test('a statement is carried as it was sent, and shown with its release', async (t) => {
  const { controller, put, fetched, shown, statement } = await openSigned(t)
  t.match(await shown(), { statement: null, sequence: null })
  t.match(await controller.call('GET', path), { status: 404, body: { code: 'not-signed' } })
  // Spaces of its own: what comes back is what was sent, not what it means.
  const sent = Buffer.from(`  ${signedStatement(statement, ci).toString()}\n`)
  const view = {
    sequence: 17,
    statement: {
      environments: ['production', 'staging'],
      expiresAt: Date.parse('2026-12-31T00:00:00Z'),
      floor: 12,
      signedBy: [ci.key.id],
    },
  }
  t.match(await put(sent), { status: 201, body: view })
  t.ok((await fetched()).equals(sent), 'byte by byte')
  t.match(await put(sent), { status: 200, body: view }, 'the same again')
  t.match(await shown(), view)
  await controller.stop()
  await controller.start()
  t.ok((await fetched()).equals(sent), 'after a restart')
})

void t.test('an agent gets it by the digest, with its content token', async (t) => {
  const { controller, put, statement, tree } = await openSigned(t)
  const peer = await controller.connect(await controller.enrol('web-1'))
  t.teardown(() => peer.end())
  peer.say(helloOf())
  const { contentToken } = await peer.next('welcome')
  peer.say(observedOf())
  await peer.settled()
  const asked = (digest: string, name: string) =>
    controller.call('GET', `/v1/trees/${digest}/statements/${name}`, { token: contentToken })
  const right = 'shop/1.4.0'
  t.match(await asked(tree, right), { status: 403, body: { code: 'not-told' } })
  const desired = '/v1/apps/shop/environments/production/desired'
  await controller.ask('PUT', desired, { version: '1.4.0' })
  t.match(await asked(tree, right), { status: 404, body: { code: 'not-signed' } })
  await put(signedStatement(statement, ci))
  t.match(await asked(tree, right), { status: 200, body: { payloadType: /release/ } })
  t.match(await asked(digestOf('other'), right), { status: 403, body: { code: 'not-told' } })
  await controller.publish('1.4.1')
  const other = await asked(tree, 'shop/1.4.1')
  t.match(other, { status: 404, body: { code: 'not-signed' } }, 'that version has another tree')
  const saidOf = async (name: string) =>
    JSON.stringify(await asked(tree, name)).replaceAll(name.replace('/', ' '), 'NAME')
  for (const name of ['shop/9', 'payroll/1.4.0']) {
    t.equal(
      await saidOf(name),
      await saidOf('shop/1.4.1'),
      `nor is it said that there is no ${name}`,
    )
  }
  t.match(await asked(tree, 'shop/..%2f9'), { status: 400 })
  t.match(await controller.call('GET', path, { token: contentToken }), { status: 401 })
  t.match(await controller.call('PUT', path, { token: contentToken }), { status: 401 })
})

void t.test('what is no statement of this release is not kept', async (t) => {
  const { controller, put, statement } = await openSigned(t)
  const others = {
    'another app': { app: 'blog' },
    'another version': { version: '1.4.1' },
    'another tree': { tree: digestOf('other') },
    'another tarball': { artifact: { ...statement.artifact, sha256: digestOf('other') } },
    'another size': { artifact: { ...statement.artifact, bytes: 1 } },
  }
  for (const [what, change] of Object.entries(others)) {
    const answer = await put(signedStatement({ ...statement, ...change }, ci))
    t.match(answer, { status: 409, body: { code: 'other-release', details: {} } }, what)
  }
  const malformed = {
    'nothing': Buffer.alloc(0),
    'no JSON': Buffer.from('hello'),
    'no UTF-8': Buffer.from([0xff, 0xfe]),
    'no statement': signedStatement({ ...statement, more: 1 }, ci),
    'a trust file': textOf(
      envelopeOf(bytesOf(statement), [ci], {
        payloadType: 'application/vnd.lockstep.trust.v1+json',
      }),
    ),
    'no signature': textOf(envelopeOf(bytesOf(statement), [])),
  }
  for (const [what, body] of Object.entries(malformed)) {
    t.match(await put(body), { status: 422, body: { code: 'bad-envelope' } }, what)
  }
  t.match(await put(Buffer.alloc(64 * 1024 + 1, 32)), { status: 413, body: { code: 'too-large' } })
  const unknown = await put(signedStatement(statement, ci), path.replace('1.4.0', '1.4.9'))
  t.match(unknown, { status: 404, body: { code: 'unknown-version' } })
  t.match(await controller.call('GET', path), { status: 404, body: { code: 'not-signed' } })
})

void t.test('a statement gives way to more signatures, or to one that is not older', async (t) => {
  const { put, fetched, statement } = await openSigned(t)
  const exists = { status: 409, body: { code: 'statement-exists', hint: /add the signature/ } }
  await put(signedStatement(statement, ci))
  t.match(await put(signedStatement(statement, ann)), exists, 'the first signature would be lost')
  const both = signedStatement(statement, ann, ci)
  t.match(await put(both), {
    status: 200,
    body: { statement: { signedBy: [ann.key.id, ci.key.id] } },
  })
  t.match(await put(signedStatement(statement, ci)), exists)
  const older = { ...statement, sequence: 16 }
  t.match(await put(signedStatement(older, ci, ann)), exists)
  t.ok((await fetched()).equals(both), 'nothing of that was kept')
  const longer = { ...statement, expires: '2027-12-31T00:00:00Z' }
  t.match(await put(signedStatement(longer, ci)), { status: 200, body: { sequence: 17 } })
  const newer = { ...statement, sequence: 18 }
  t.match(await put(signedStatement(newer, ci)), { status: 200, body: { sequence: 18 } })
  t.match(await put(both), exists, 'the old one does not come back')
})

void t.test('the controller has no keys: whose the signatures are is for the hosts', async (t) => {
  const { put, statement } = await openSigned(t)
  t.match(await put(signedStatement(statement, mallory)), { status: 201 })
})

void t.test('a release that comes back after its removal is to be signed again', async (t) => {
  const { controller, put, statement } = await openSigned(t)
  await put(signedStatement(statement, ci))
  await controller.ask('DELETE', '/v1/apps/shop/releases/1.4.0')
  t.match(await put(signedStatement(statement, ci)), { status: 404 })
  await controller.publish('1.4.0')
  t.match(await controller.call('GET', path), { status: 404, body: { code: 'not-signed' } })
  t.match(await put(signedStatement(statement, ci)), { status: 201 })
})
