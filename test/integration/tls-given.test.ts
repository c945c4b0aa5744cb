// A certificate that the operator gives: what is refused at a start, what is taken over while people
// are connected, and what is not.

import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, readFileSync, rmSync } from 'node:fs'
import t from 'tap'
import { WebSocket } from 'ws'
import type { TlsChoice } from '#shared/tls-choice.ts'
import { limits } from '#shared/limits.ts'
import { TlsFiles } from '../support/tls-files.ts'
import { ask, dataIn, handshake, serve, type Served } from '../support/tls-served.ts'

const day = 24 * 60 * 60_000

const given = ({ certificateFile, keyFile }: TlsFiles): TlsChoice => ({
  mode: 'given',
  certificateFile,
  keyFile,
})

const ecKey = () =>
  generateKeyPairSync('ec', {
    namedCurve: 'prime256v1',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  }).privateKey

/** Lets the controller look at its files as it does by itself, and waits until it has. */
async function look({ clock, tls }: Served): Promise<void> {
  clock.advance(limits.certificateFilesCheckMs)
  await tls.refresh()
}

async function serialOf(served: Served): Promise<string | undefined> {
  const socket = await handshake(served)
  const serial = socket.getPeerX509Certificate()?.serialNumber
  socket.destroy()
  return serial
}

void t.test('a renewed pair is shown without a restart, and drops nobody', async (t) => {
  const files = new TlsFiles(t)
  const served = await serve(t, dataIn(t), given(files))
  const socket = new WebSocket(`wss://127.0.0.1:${served.port}/`, { ca: served.ca })
  await once(socket, 'open')
  const [pin] = served.tls.pins()
  const before = await serialOf(served)
  await look(served)
  t.equal(await serialOf(served), before, 'nothing changed')
  files.issue()
  await look(served)
  t.not(await serialOf(served), before)
  t.same(served.tls.pins(), [pin], 'the authority of the chain is what is pinned')
  socket.send('still here')
  const [heard] = await once(socket, 'message')
  t.equal(String(heard), 'still here')
  socket.terminate()
})

void t.test('a broken pair keeps the old one, and is told of once', async (t) => {
  const files = new TlsFiles(t)
  const served = await serve(t, dataIn(t), given(files))
  const before = await serialOf(served)
  const certificate = readFileSync(files.certificateFile, 'utf8')
  const other = new TlsFiles(t)
  const breaks: readonly (readonly [() => void, RegExp])[] = [
    [() => files.write(certificate, ecKey()), /is not the one of the certificate/],
    [() => files.write('nothing', ecKey()), /holds no certificate/],
    [() => files.write(certificate, 'nothing'), /holds no private key/],
    [() => rmSync(files.keyFile), /cannot be read \(ENOENT\)/],
    [() => files.issue(Date.now() - 100 * day), /expired/],
  ]
  for (const [breakIt, why] of breaks) {
    const told = served.log.length
    breakIt()
    await look(served)
    await look(served)
    const said = served.log.slice(told)
    t.equal(said.length, 1, why.source)
    t.match(said[0], { text: why, facts: { hint: /./ } })
    t.match(said[0]?.text, /still shown/)
    t.equal(await serialOf(served), before)
  }
  files.write(readFileSync(other.certificateFile, 'utf8'), readFileSync(other.keyFile, 'utf8'))
  await look(served)
  t.match(served.log.at(-2), { text: /another pin/, facts: { pins: served.tls.pins() } })
  t.equal(await ask({ ...served, ca: served.tls.caPem() ?? '' }), 200)
})

void t.test('what cannot be used is refused at the start, by its name', async (t) => {
  const files = new TlsFiles(t)
  const { certificateFile, keyFile } = files
  const certificate = readFileSync(certificateFile, 'utf8')
  const key = readFileSync(keyFile, 'utf8')
  const locked = generateKeyPairSync('ec', {
    namedCurve: 'prime256v1',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  }).privateKey
  const cases: readonly (readonly [string, () => void, RegExp])[] = [
    ['another key', () => files.write(certificate, ecKey()), /key\.pem is not the one/],
    ['no certificate', () => files.write(key, key), /certificate\.pem holds no certificate/],
    ['no key', () => files.write(certificate, certificate), /key\.pem holds no private key/],
    ['an encrypted key', () => files.write(certificate, locked), /key\.pem is encrypted/],
    ['an expired one', () => files.issue(Date.now() - 91 * day), /certificate\.pem .*expired/],
    ['one of the future', () => files.issue(Date.now() + 3 * day), /is not good before/],
    ['a missing file', () => rmSync(certificateFile), /certificate\.pem cannot be read \(ENOENT\)/],
  ]
  for (const [name, breakIt, message] of cases) {
    breakIt()
    const start = serve(t, dataIn(t), given(files))
    await t.rejects(start, { code: 'bad-configuration', message, hint: /./ }, name)
    const told = await start.then(() => '', String)
    t.notMatch(told, /PRIVATE KEY-----\n/, 'no key is in the message')
  }
})

void t.test(
  'a key that the controller may not read is named',
  { skip: process.getuid?.() === 0 },
  async (t) => {
    const files = new TlsFiles(t)
    chmodSync(files.keyFile, 0)
    await t.rejects(serve(t, dataIn(t), given(files)), {
      message: /key\.pem cannot be read \(EACCES\)/,
    })
  },
)

void t.test('without an authority in the chain the certificate itself is pinned', async (t) => {
  const files = new TlsFiles(t)
  const { certificate, key } = files.issue()
  const chained = await serve(t, dataIn(t), given(files))
  files.write(certificate, key)
  const bare = await serve(t, dataIn(t), given(files))
  t.equal(bare.tls.caPem()?.trim(), certificate.trim())
  t.notSame(bare.tls.pins(), chained.tls.pins())
  t.equal(await ask({ ...bare, ca: files.authority.certificate }), 200)
})

void t.test('the end of a certificate is told of before it comes', async (t) => {
  const files = new TlsFiles(t)
  const later = await serve(t, dataIn(t), given(files), Date.now() + 77 * day)
  t.match(later.log, [{ text: /certificate\.pem is good until/ }])
})
