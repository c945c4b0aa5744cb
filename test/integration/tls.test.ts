// TLS of the controller over real sockets: its own authority, renewal under live connections, and
// whoever speaks something else to its port.

import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { get as getPlain } from 'node:http'
import { connect as connectPlain, type Socket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { WebSocket } from 'ws'
import { ControllerTls } from '#controller/tls/controller-tls.ts'
import { limits } from '#shared/limits.ts'
import { pinOf } from '#shared/pin.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { ask, dataIn, handshake, listening, ownAuthority, serve } from '../support/tls-served.ts'

const day = 24 * 60 * 60_000

void t.test(
  'the first start makes an authority that others keep, for its owner only',
  async (t) => {
    const data = dataIn(t)
    const first = await serve(t, data)
    const path = join(data, 'tls', 'authority.pem')
    t.equal((statSync(join(data, 'tls')).mode & 0o777).toString(8), '700')
    t.equal((statSync(path).mode & 0o777).toString(8), '600')
    t.match(first.tls.pins(), [/^[\w-]{43}$/])
    t.equal(await ask(first), 200)
    const second = await serve(t, data)
    t.same(second.tls.pins(), first.tls.pins())
    t.equal(await ask({ ...second, ca: first.ca }), 200)
    const other = await serve(t, dataIn(t))
    t.notSame(other.tls.pins(), first.tls.pins())
    t.match(await ask({ ...other, ca: first.ca }), /CERT|SELF_SIGNED|UNABLE/)
  },
)

void t.test('the chain ends with the certificate that the pin is of', async (t) => {
  const served = await serve(t, dataIn(t))
  const socket = await handshake(served)
  const issuer = socket.getPeerX509Certificate()?.issuerCertificate
  const spki = issuer?.publicKey.export({ type: 'spki', format: 'der' }) ?? Buffer.alloc(0)
  t.same([pinOf(spki)], served.tls.pins())
  t.equal(socket.getProtocol(), 'TLSv1.3')
  t.equal(socket.authorized, true)
  socket.destroy()
})

void t.test('it names loopback, what it listens on and what its operator says', async (t) => {
  const served = await serve(t, dataIn(t), { mode: 'own-ca', names: ['deploy.example.com'] })
  for (const servername of ['localhost', 'deploy.example.com']) {
    t.equal(await ask(served, { servername, host: '127.0.0.1' }), 200, servername)
  }
  const wrong = { servername: 'other.example.com' }
  t.equal(await ask(served, wrong), 'ERR_TLS_CERT_ALTNAME_INVALID')
})

void t.test('nothing older than TLS 1.3 is spoken', async (t) => {
  const served = await serve(t, dataIn(t))
  const why = await ask(served, { maxVersion: 'TLSv1.2' })
  t.match(why, /PROTOCOL_VERSION|EPROTO|UNSUPPORTED_PROTOCOL/)
})

void t.test('a renewal drops nobody, and shows newcomers the new certificate', async (t) => {
  const served = await serve(t, dataIn(t), ownAuthority, Date.now() - 60 * day)
  const { clock, port, ca } = served
  const socket = new WebSocket(`wss://127.0.0.1:${port}/`, { ca })
  const before = await handshake(served)
  const serialBefore = before.getPeerX509Certificate()?.serialNumber
  await once(socket, 'open')
  clock.advance(59 * day)
  const early = await handshake(served)
  t.equal(early.getPeerX509Certificate()?.serialNumber, serialBefore, 'not before it is due')
  clock.advance(1 * day)
  await served.tls.refresh()
  const after = await handshake(served)
  t.not(after.getPeerX509Certificate()?.serialNumber, serialBefore)
  socket.send('still here')
  const [heard] = await once(socket, 'message')
  t.equal(String(heard), 'still here')
  t.match(served.log.at(-1)?.text, /new certificate/)
  for (const each of [before, early, after]) each.destroy()
  socket.terminate()
})

void t.test('a damaged authority is named, and never replaced by itself', async (t) => {
  const data = dataIn(t)
  const { tls } = await serve(t, data)
  const path = join(data, 'tls', 'authority.pem')
  const good = readFileSync(path, 'utf8')
  for (const broken of [
    '',
    good.slice(0, 100),
    good.replace(/.{20}\n-----END CERT/, 'x\n-----END CERT'),
  ]) {
    writeFileSync(path, broken)
    await t.rejects(serve(t, data), {
      code: 'bad-configuration',
      message: /authority\.pem/,
      hint: /backup/,
    })
    t.equal(readFileSync(path, 'utf8'), broken)
  }
  writeFileSync(path, good)
  t.same((await serve(t, data)).tls.pins(), tls.pins())
})

void t.test('plain HTTP is told to come with TLS, and harms nobody', async (t) => {
  const served = await serve(t, dataIn(t))
  const request = getPlain({ host: '127.0.0.1', port: served.port })
  const [answer] = await once(request, 'response')
  t.equal(answer.statusCode, 400)
  let text = ''
  for await (const chunk of answer) text += String(chunk)
  t.match(JSON.parse(text), { code: 'bad-request', message: /HTTPS/, hint: /https:/ })
  t.equal(await ask(served), 200)
})

void t.test('what is no TLS at all is closed', async (t) => {
  const served = await serve(t, dataIn(t))
  for (const bytes of ['\x00'.repeat(500), '\x16\x03\x01\xff\xff', 'SSH-2.0-x\r\n']) {
    const socket = connectPlain(served.port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write(Buffer.from(bytes, 'latin1'))
    socket.end()
    socket.resume()
    await once(socket, 'close')
  }
  t.equal(await ask(served), 200)
})

void t.test('of too many handshakes under way the oldest is given up', async (t) => {
  const served = await serve(t, dataIn(t))
  const sockets: Socket[] = []
  const open = async () => {
    const socket = connectPlain(served.port, '127.0.0.1')
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    sockets.push(socket)
    return socket
  }
  const oldest = await open()
  const given = once(oldest, 'close')
  for (let count = 0; count < limits.handshakesMax; count += 1) await open()
  await given
  t.pass('the oldest was closed')
  t.equal(await ask(served), 200, 'and a newcomer is let in')
  for (const socket of sockets) socket.destroy()
})

void t.test('a handshake that comes to nothing is ended', async (t) => {
  const { tls } = await serve(t, dataIn(t))
  const server = tls.createServer?.((_request, response) => response.end('here'), {
    shouldUpgradeCallback: () => false,
    handshakeMs: 100,
  })
  if (server === undefined) throw new Error('no TLS')
  const port = await listening(t, server)
  const silent = connectPlain(port, '127.0.0.1')
  const halfway = connectPlain(port, '127.0.0.1')
  // The head of a record that promises more than ever comes.
  halfway.write(Buffer.from('160301020001', 'hex'))
  await Promise.all([once(silent.resume(), 'close'), once(halfway.resume(), 'close')])
  t.ok(silent.destroyed && halfway.destroyed)
})

void t.test('an authority near its end is warned of, and an ended one is refused', async (t) => {
  const data = dataIn(t)
  await serve(t, data)
  const open = (at: number) => {
    const log: string[] = []
    const keep = (_facts: object, text: string) => log.push(text)
    const clock = new FakeClock(at)
    const ports = { clock, data, host: '127.0.0.1', log: { warn: keep, info: keep } }
    return ControllerTls.open(ownAuthority, ports).then((tls) => {
      clock.advance(1.5 * day)
      tls.stop()
      return log
    })
  }
  t.same(await open(Date.now() + 8 * 365 * day), [])
  const [first, ...again] = await open(Date.now() + 9.5 * 365 * day)
  t.match(first, /authority is good until \d{4}-/)
  t.same(again, [first], 'and once a day')
  await t.rejects(open(Date.now() + 11 * 365 * day), {
    code: 'bad-configuration',
    message: /expired/,
  })
})

void t.test(
  'a rotation tells of the next pin first, and drops nobody when it takes over',
  async (t) => {
    const data = dataIn(t)
    const served = await serve(t, data)
    const { tls, port, ca } = served
    const [old = ''] = tls.pins()
    const socket = new WebSocket(`wss://127.0.0.1:${port}/`, { ca })
    await once(socket, 'open')
    await tls.prepareNextAuthority()
    const [first, next = ''] = tls.pins()
    t.equal(first, old)
    t.match(next, /^[\w-]{43}$/)
    await tls.prepareNextAuthority()
    t.same(tls.pins(), [old, next], 'a repeat makes no third one')
    t.equal(readFileSync(join(data, 'ca.pem'), 'utf8'), tls.caPem(), 'both certificates')
    t.equal((statSync(join(data, 'tls', 'next-authority.pem')).mode & 0o777).toString(8), '600')
    t.equal(await ask(served), 200, 'the old one is still shown')
    await tls.takeNextAuthority()
    t.same(tls.pins(), [next])
    t.same(readdirSync(join(data, 'tls')), ['authority.pem'], 'nothing of the old one is left')
    t.match(await ask(served), /CERT|SELF_SIGNED|UNABLE/, 'who knows the old one only')
    t.equal(await ask({ ...served, ca: tls.caPem() ?? '' }), 200, 'who was told of the next one')
    socket.send('still here')
    const [heard] = await once(socket, 'message')
    t.equal(String(heard), 'still here')
    socket.terminate()
    await t.rejects(tls.takeNextAuthority(), { code: 'no-rotation', hint: /rotate-ca/ })
  },
)

void t.test('a rotation goes on after a restart between any two steps', async (t) => {
  const data = dataIn(t)
  const [old = ''] = (await serve(t, data)).tls.pins()
  const begun = await serve(t, data)
  await begun.tls.prepareNextAuthority()
  const pins = begun.tls.pins()
  const second = await serve(t, data)
  t.same(second.tls.pins(), pins)
  t.equal(await ask({ ...second, ca: begun.ca }), 200, 'and shows what it showed')
  await second.tls.takeNextAuthority()
  const third = await serve(t, data)
  t.same(third.tls.pins(), pins.slice(1))
  t.notMatch(third.tls.pins(), [old])
  t.equal(await ask(third), 200)
})

void t.test(
  'a crash between file and name leaves the old authority, and the next try works',
  async (t) => {
    const data = dataIn(t)
    const { tls } = await serve(t, data)
    writeFileSync(join(data, 'tls', 'next-authority.pem.new'), '-----BEGIN PRI', { mode: 0o644 })
    const again = await serve(t, data)
    t.same(again.tls.pins(), tls.pins())
    await again.tls.prepareNextAuthority()
    t.equal(again.tls.pins().length, 2)
    t.equal((statSync(join(data, 'tls', 'next-authority.pem')).mode & 0o777).toString(8), '600')
  },
)

void t.test('a disk that refuses is named, and changes nothing', async (t) => {
  const data = dataIn(t)
  const { tls } = await serve(t, data)
  const pins = tls.pins()
  mkdirSync(join(data, 'tls', 'next-authority.pem.new'))
  await t.rejects(tls.prepareNextAuthority(), { code: 'disk-error', hint: /./ })
  t.same(tls.pins(), pins)
})

void t.test('what is left of TLS goes with it', async (t) => {
  const data = dataIn(t)
  await serve(t, data)
  t.ok(existsSync(join(data, 'ca.pem')))
  const log = { warn: () => undefined, info: () => undefined }
  const ports = { clock: new FakeClock(), data, host: '127.0.0.1', log }
  const plain = await ControllerTls.open({ mode: 'plain', forced: false }, ports)
  t.notOk(existsSync(join(data, 'ca.pem')))
  t.same([plain.pins(), plain.caPem(), plain.createServer], [[], null, null])
  await t.rejects(plain.prepareNextAuthority(), { code: 'no-rotation' })
})
