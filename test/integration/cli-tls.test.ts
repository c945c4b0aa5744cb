// The command's way to a controller that speaks TLS: by its authority's file or its pin, and what it says
// of every certificate that is not the one.

import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { connect as connectPlain, createServer as createPlainServer } from 'node:net'
import { createServer as createHttpServer } from 'node:http'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { issueLeaf, makeAuthority } from '#controller/tls/certificate-authority.ts'
import { pinOfCertificate } from '#controller/tls/keyed-file.ts'
import { RunningController } from '../support/running-controller.ts'
import { ran } from './cli-run.ts'

const day = 24 * 60 * 60_000
const list = ['token', 'list', '--json']

async function secured(t: Test) {
  const controller = await RunningController.start(t, 'warn', { mode: 'own-ca', names: [] })
  const env = {
    LOCKSTEP_TOKEN: controller.adminToken,
    LOCKSTEP_PIN: '',
    LOCKSTEP_CA: join(controller.data, 'ca.pem'),
  }
  const [pin = ''] = controller.pins
  return {
    controller,
    url: controller.url,
    pin,
    env,
    byPin: { ...env, LOCKSTEP_CA: '', LOCKSTEP_PIN: pin },
  }
}

/** A server that shows the certificates and counts what it is sent. */
async function impostor(t: Test, certificates: string, key: string) {
  const sent: string[] = []
  const server = createServer({ key, cert: certificates }, (request, response) => {
    sent.push(String(request.headers.authorization))
    response.end('{"items":[],"next":null}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { url: `https://127.0.0.1:${port}`, sent }
}

void t.test('the authority’s file or the pin is all that it takes', async (t) => {
  const { url, env, byPin, pin } = await secured(t)
  for (const trust of [env, byPin, { ...byPin, LOCKSTEP_PIN: `${'x'.repeat(43)}, ${pin}` }]) {
    const { exitCode, err, out } = await ran(list, { url, env: trust })
    t.equal(exitCode, 0, err)
    t.match(JSON.parse(out).items, [{ kind: 'api' }])
  }
  const body = await ran(['token', 'create', '--role', 'admin'], { url, env: byPin })
  t.equal(body.exitCode, 0, body.err)
})

void t.test('without either it says how to come by one', async (t) => {
  const { url, env } = await secured(t)
  const { exitCode, err } = await ran(list, { url, env: { ...env, LOCKSTEP_CA: '' } })
  t.equal(exitCode, 1)
  t.match(err, /its certificate is not trusted \(SELF_SIGNED_CERT_IN_CHAIN\)/)
  t.match(err, /LOCKSTEP_PIN .*controller pin/)
})

void t.test('another pin sends nothing', async (t) => {
  const { byPin } = await secured(t)
  const at = Date.now()
  const authority = makeAuthority(at)
  const leaf = issueLeaf(authority, ['127.0.0.1'], at)
  const other = await impostor(t, leaf.certificate + authority.certificate, leaf.key)
  const { exitCode, err } = await ran(list, { url: other.url, env: byPin })
  t.equal(exitCode, 1)
  t.match(err, /is not the controller that LOCKSTEP_PIN means/)
  t.same(other.sent, [])
})

void t.test(
  'to show the right certificate without having signed with it is not enough',
  async (t) => {
    const { controller, byPin } = await secured(t)
    const at = Date.now()
    const real = readFileSync(join(controller.data, 'ca.pem'), 'utf8')
    // A chain that ends with what is pinned, which anybody has, under a leaf that somebody else signed.
    const leaf = issueLeaf(makeAuthority(at), ['127.0.0.1'], at)
    const forged = await impostor(t, leaf.certificate + real, leaf.key)
    const { exitCode, err } = await ran(list, { url: forged.url, env: byPin })
    t.equal(exitCode, 1)
    t.match(err, /is not the controller|is not trusted/)
    t.same(forged.sent, [])
  },
)

void t.test(
  'a certificate that is of another name, too old or too new is called that',
  async (t) => {
    const at = Date.now()
    const cases: readonly (readonly [string, number, RegExp, RegExp])[] = [
      ['other.example.com', at, /for other names \(ERR_TLS_CERT_ALTNAME_INVALID\)/, /--tls-name/],
      ['127.0.0.1', at - 91 * day, /has expired \(CERT_HAS_EXPIRED\)/, /clock/],
      ['127.0.0.1', at + 3 * day, /is not good yet \(CERT_NOT_YET_VALID\)/, /clock/],
    ]
    for (const [name, issuedAt, what, hint] of cases) {
      const authority = makeAuthority(at - 100 * day)
      const leaf = issueLeaf(authority, [name], issuedAt)
      const server = await impostor(t, leaf.certificate + authority.certificate, leaf.key)
      const file = join(t.testdir(), 'ca.pem')
      writeFileSync(file, authority.certificate)
      const byPin = { LOCKSTEP_PIN: pinOfCertificate(authority.certificate) }
      for (const env of [{ LOCKSTEP_CA: file }, byPin]) {
        const { exitCode, err } = await ran(list, { url: server.url, env })
        t.equal(exitCode, 1)
        t.match(err, what)
        t.match(err, hint)
        t.notMatch(err, /\n\s+at /, 'no stack')
        t.same(server.sent, [])
      }
    }
  },
)

void t.test(
  'http to a port that speaks TLS is told so, and https to one that does not',
  async (t) => {
    const { url, env, byPin } = await secured(t)
    const plain = await ran(list, { url: url.replace('https:', 'http:'), env })
    t.equal(plain.exitCode, 1)
    t.match(plain.err, /this port speaks HTTPS.*\n.*https:\/\//)
    const server = createHttpServer((_request, response) => response.end('here'))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => server.close())
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    for (const trust of [env, byPin]) {
      const { err } = await ran(list, { url: `https://127.0.0.1:${port}`, env: trust })
      t.match(err, /it does not speak TLS/)
    }
  },
)

void t.test(
  'nobody there, or nobody who says anything, is what it is with a pin too',
  async (t) => {
    const { byPin } = await secured(t)
    const nobody = await ran(list, { url: 'https://127.0.0.1:1', env: byPin })
    t.match(nobody.err, /nothing listens there \(ECONNREFUSED\)/)
    const server = createPlainServer((socket) => socket.on('error', () => undefined).end())
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => server.close())
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const { exitCode, err } = await ran(list, { url: `https://127.0.0.1:${port}`, env: byPin })
    t.equal(exitCode, 1)
    t.match(err, /the connection broke \(ECONNRESET\)/)
  },
)

void t.test('a proxy is gone through with a pin as well', async (t) => {
  const { url, byPin, controller } = await secured(t)
  const asked: string[] = []
  const proxy = createHttpServer()
  proxy.on('connect', (request, socket) => {
    asked.push(request.url ?? '')
    const there = connectPlain(Number(new URL(url).port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      there.pipe(socket).pipe(there)
    })
    there.on('error', () => socket.destroy())
    socket.on('error', () => there.destroy())
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => proxy.close())
  const address = proxy.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const env = {
    ...byPin,
    https_proxy: `http://127.0.0.1:${port}`,
    LOCKSTEP_TOKEN: controller.adminToken,
  }
  const { exitCode, err } = await ran(list, {
    url: url.replace('127.0.0.1', 'deploy.invalid'),
    env,
  })
  t.equal(exitCode, 1)
  t.match(err, /for other names/, 'the name is judged, not the address of the proxy')
  t.match(asked, [/^deploy\.invalid:/, /^deploy\.invalid:/])
})

void t.test('what names no certificate and no pin is a wrong usage', async (t) => {
  const directory = t.testdir({ 'empty.pem': '', 'broken.pem': '-----BEGIN CERTIFICATE-----\nx\n' })
  const cases: readonly (readonly [Record<string, string>, RegExp])[] = [
    [{ LOCKSTEP_PIN: 'short' }, /no pin/],
    [{ LOCKSTEP_PIN: 'x'.repeat(44) }, /no pin/],
    [{ LOCKSTEP_CA: join(directory, 'none.pem') }, /cannot be read \(ENOENT\)/],
    [{ LOCKSTEP_CA: join(directory, 'empty.pem') }, /holds no certificate/],
    [{ LOCKSTEP_CA: join(directory, 'broken.pem') }, /holds no certificate/],
    [{ LOCKSTEP_CA: 'x', LOCKSTEP_PIN: 'x'.repeat(43) }, /both LOCKSTEP_CA and LOCKSTEP_PIN/],
  ]
  for (const [env, what] of cases) {
    const { exitCode, err } = await ran(list, { url: 'https://a.example', env })
    t.equal(exitCode, 2, what.source)
    t.match(err, what)
  }
})

void t.test('a token goes over no network in clear, unless that is wanted', async (t) => {
  const refused = await ran(list, { url: 'http://deploy.invalid' })
  t.equal(refused.exitCode, 2)
  t.match(refused.err, /plain HTTP.*\n.*LOCKSTEP_PLAIN_HTTP=1/)
  const env = { LOCKSTEP_PLAIN_HTTP: '1' }
  t.equal((await ran(list, { url: 'http://deploy.invalid', env })).exitCode, 1, 'it is asked')
})

void t.test('the pin is printed from the data directory, or by the controller', async (t) => {
  const { controller, url, env, pin } = await secured(t)
  const local = await ran(['controller', 'pin', '--data', controller.data])
  t.same([local.exitCode, local.out], [0, `${pin}\n`])
  t.equal((await ran(['controller', 'pin'], { url, env })).out, `${pin}\n`)
  const json = await ran(['controller', 'pin', '--data', controller.data, '--json'])
  t.same(JSON.parse(json.out), { pins: [pin] })
  const plain = await RunningController.start(t)
  const none = await ran(['controller', 'pin', '--data', plain.data])
  t.same([none.exitCode, none.out], [1, ''])
  t.match(none.err, /there is no .*ca\.pem/)
  const asked = { url: plain.url, env: { LOCKSTEP_TOKEN: plain.adminToken } }
  t.match((await ran(['controller', 'pin'], asked)).err, /no certificate of its own/)
})

void t.test(
  'an authority is changed in two commands, and a restart in between changes nothing',
  async (t) => {
    const { controller, url, byPin, pin } = await secured(t)
    const early = await ran(['controller', 'rotate-ca', '--finish'], { url, env: byPin })
    t.equal(early.exitCode, 1)
    t.match(early.err, /no next authority/)
    const begun = await ran(['controller', 'rotate-ca'], { url, env: byPin })
    t.equal(begun.exitCode, 0, begun.err)
    const [, next = ''] = controller.pins
    t.match(begun.out, pin)
    t.match(begun.out, next)
    await controller.stop()
    await controller.start()
    t.same(controller.pins, [pin, next])
    const both = { ...byPin, LOCKSTEP_PIN: `${pin},${next}` }
    const lone = await ran(['controller', 'rotate-ca', '--force'], { url, env: both })
    t.match(lone, { exitCode: 2, err: /--force belongs to --finish/ })
    const done = await ran(['controller', 'rotate-ca', '--finish'], { url, env: both })
    t.equal(done.exitCode, 0, done.err)
    t.match(done.out, next)
    t.same(controller.pins, [next])
    t.equal((await ran(list, { url, env: byPin })).exitCode, 1, 'the old pin is worth nothing')
    t.equal((await ran(list, { url, env: both })).exitCode, 0)
  },
)

void t.test('status says aloud that plain HTTP is spoken where others can listen', async (t) => {
  const controller = await RunningController.start(t, 'warn', { mode: 'plain', forced: true })
  const asked = { url: controller.url, env: { LOCKSTEP_TOKEN: controller.adminToken } }
  t.match((await ran(['status'], asked)).err, /warning: PLAIN HTTP: whoever is on the network/)
  t.match(controller.log, [{ msg: /^PLAIN HTTP/ }], 'and so does every start')
  const quiet = await RunningController.start(t)
  const token = { LOCKSTEP_TOKEN: quiet.adminToken }
  t.notMatch((await ran(['status'], { url: quiet.url, env: token })).err, /warning/)
})
