// The agent's identity on the disk: made once, kept to itself, and never taken for what it is not.

import { generateKeyPairSync, verify, createPublicKey } from 'node:crypto'
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Identity } from '#agent/link/identity.ts'
import { hostIdOf } from '#shared/ids.ts'
import { shop } from '../support/fleet-facts.ts'

function pathIn(t: Test): string {
  return join(t.testdir({}), 'identity.json')
}

void t.test('an identity is made once, and is the same after every start', async (t) => {
  const path = pathIn(t)
  const made = await Identity.open(path)
  const again = await Identity.open(path)
  t.equal(again.publicKey, made.publicKey)
  t.match(made.publicKey, /^[\w-]{43}$/)
  t.equal(made.host, hostIdOf(Buffer.from(made.publicKey, 'base64url')))
  t.equal(made.controller, null)
  t.equal(made.isEnrolledFor(shop), false)
  const other = await Identity.open(pathIn(t))
  t.not(other.publicKey, made.publicKey)
})

void t.test('nobody but its owner may read it, and nothing else is left beside it', async (t) => {
  const path = pathIn(t)
  await Identity.open(path)
  t.equal((statSync(path).mode & 0o777).toString(8), '600')
  t.same(readdirSync(join(path, '..')), ['identity.json'])
})

void t.test('what it signs is signed by the key that it shows', async (t) => {
  const identity = await Identity.open(pathIn(t))
  const bytes = Buffer.from('a challenge')
  const key = createPublicKey({
    format: 'jwk',
    key: { kty: 'OKP', crv: 'Ed25519', x: identity.publicKey },
  })
  const signature = identity.sign(bytes)
  t.match(signature, /^[\w-]{86}$/)
  t.ok(verify(null, bytes, key, Buffer.from(signature, 'base64url')))
})

void t.test('what it is enrolled for outlives a restart, and the key stays', async (t) => {
  const path = pathIn(t)
  const identity = await Identity.open(path)
  const blog = { app: 'blog', environment: 'production' }
  await identity.enrolled({ controller: 'c-1', name: 'web-1', apps: [shop], pins: [] })
  t.equal(identity.isEnrolledFor(shop), true)
  const again = await Identity.open(path)
  t.equal(again.controller, 'c-1')
  t.equal(again.publicKey, identity.publicKey)
  t.equal(again.isEnrolledFor(shop), true)
  t.equal(again.isEnrolledFor(blog), false)
  t.equal(again.isEnrolledFor({ ...shop, environment: 'staging' }), false)
})

void t.test('a damaged identity is named and left alone', async (t) => {
  const path = pathIn(t)
  await Identity.open(path)
  const good = JSON.parse(readFileSync(path, 'utf8'))
  const { privateKey: rsa } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  const { privateKey: curve } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  const bad = {
    'nothing': '',
    'half of it': JSON.stringify(good).slice(0, 100),
    'no JSON': 'identity',
    'another JSON': '{}',
    'a list': '[]',
    'another version': JSON.stringify({ ...good, identity: 2 }),
    'no key': JSON.stringify({ ...good, privateKey: '' }),
    'a cut key': JSON.stringify({ ...good, privateKey: good.privateKey.slice(0, -40) }),
    'a key of RSA': JSON.stringify({ ...good, privateKey: rsa }),
    'a key of another curve': JSON.stringify({ ...good, privateKey: curve }),
    'apps that are none': JSON.stringify({ ...good, apps: [{ app: '../x', environment: 'y' }] }),
  }
  for (const [what, text] of Object.entries(bad)) {
    writeFileSync(path, text)
    await t.rejects(Identity.open(path), { code: 'bad-identity', hint: /Restore/ }, what)
    t.equal(readFileSync(path, 'utf8'), text, `${what} is not overwritten`)
  }
})

void t.test('an identity that cannot be read or written is an error of the disk', async (t) => {
  const directory = t.testdir({ taken: 'a file' })
  await t.rejects(Identity.open(join(directory, 'taken', 'identity.json')), { code: 'disk-error' })
  await t.rejects(Identity.open(join(directory, 'none', 'identity.json')), { code: 'disk-error' })
  if (process.getuid?.() === 0) return
  const path = join(directory, 'identity.json')
  await Identity.open(path)
  chmodSync(path, 0)
  await t.rejects(Identity.open(path), { code: 'disk-error', message: /EACCES/ })
})
