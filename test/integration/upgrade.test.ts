// The upgrade to the agents' channel over real sockets: identity first, and nothing that a peer does
// there may harm the controller or leave anything open.

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { WebSocket } from 'ws'
import { limits } from '#shared/limits.ts'
import { AgentKey } from '../support/agent-key.ts'
import { AgentPeer } from '../support/agent-peer.ts'
import { helloOf, observedOf } from '../support/fleet-facts.ts'
import { RunningController } from '../support/running-controller.ts'

/** What the controller answers to an upgrade that it refuses. */
async function refusalOf(
  controller: RunningController,
  authorization: string | null,
  path = '/v1/agent',
  origin?: string,
): Promise<{ status: number | undefined; body: unknown }> {
  const socket = new WebSocket(`${controller.url.replace(/^http/, 'ws')}${path}`, {
    headers: authorization === null ? {} : { authorization },
    ...(origin === undefined ? {} : { origin }),
  })
  const { promise, resolve, reject } = Promise.withResolvers<{
    status: number | undefined
    body: unknown
  }>()
  socket.on('open', () => reject(new Error('it was let in')))
  socket.on('error', reject)
  socket.on('unexpected-response', (_request, response) => {
    text(response).then(
      (body) => resolve({ status: response.statusCode, body: JSON.parse(body) }),
      reject,
    )
  })
  return promise
}

void t.test('an enrolled agent with a fresh signature is let in', async (t) => {
  const controller = await RunningController.start(t)
  const peer = await controller.connect(await controller.enrol('web-1'))
  peer.say(helloOf())
  t.match(await peer.next('welcome'), { contentToken: /^lsc1\./ })
  await peer.end()
})

void t.test('a page of a browser is refused, whatever it bears', async (t) => {
  const controller = await RunningController.start(t)
  const key = await controller.enrol('web-1')
  for (const origin of ['https://evil.example', controller.url, 'null']) {
    const { nonce, controller: id } = await controller.challenge()
    const answer = await refusalOf(controller, key.authorization(id, nonce), '/v1/agent', origin)
    t.match(answer, { status: 401, body: { code: 'unauthorised' } }, origin)
  }
})

void t.test('every other upgrade is refused with its reason, and what to do', async (t) => {
  const controller = await RunningController.start(t)
  const key = await controller.enrol('web-1')
  const stranger = new AgentKey()
  const fresh = () => controller.challenge()
  const { nonce, controller: id } = await fresh()
  const used = key.authorization(id, nonce)
  await (await AgentPeer.open(controller.url, used)).end()
  const cases: readonly [string, string | null, number, string][] = [
    ['no header', null, 401, 'unauthorised'],
    ['an API token', `Bearer ${controller.adminToken}`, 401, 'unauthorised'],
    ['a nonce that was used', used, 401, 'bad-signature'],
    ['a nonce of nobody', key.authorization(id, 'n'.repeat(32)), 401, 'bad-signature'],
    [
      'another controller\u2019s challenge',
      key.authorization('other', (await fresh()).nonce),
      401,
      'bad-signature',
    ],
    [
      'a host that never joined',
      stranger.authorization(id, (await fresh()).nonce),
      404,
      'unknown-host',
    ],
    [
      'another key than the host\u2019s',
      stranger.authorization(id, (await fresh()).nonce, key.host),
      401,
      'bad-signature',
    ],
  ]
  for (const [what, authorization, status, code] of cases) {
    const refusal = await refusalOf(controller, authorization)
    t.match(refusal, { status, body: { code, message: /./, hint: /./ } }, what)
  }
  const elsewhere = await refusalOf(controller, used, '/v1/other')
  t.match(elsewhere, { status: 404, body: { code: 'not-found', hint: /./ } })
  t.same(controller.fatal, [])
})

void t.test('a nonce is used up by whoever comes first with it, good or bad', async (t) => {
  const controller = await RunningController.start(t)
  const key = await controller.enrol('web-1')
  const { nonce, controller: id } = await controller.challenge()
  const stranger = new AgentKey()
  await refusalOf(controller, stranger.authorization(id, nonce, key.host))
  const late = await refusalOf(controller, key.authorization(id, nonce))
  t.match(late, { status: 401, body: { code: 'bad-signature' } })
})

void t.test(
  'an upgrade to anything but a WebSocket is answered as if it had not asked',
  async (t) => {
    const controller = await RunningController.start(t)
    const { hostname, port } = new URL(controller.url)
    const socket = connect(Number(port), hostname)
    const head = [
      'GET /healthz HTTP/1.1',
      `host: ${hostname}`,
      'upgrade: h2c',
      'http2-settings: AA',
    ]
    socket.end([...head, 'connection: Upgrade, HTTP2-Settings, close', '', ''].join('\r\n'))
    t.match(await text(socket), /^HTTP\/1\.1 200 OK/)
  },
)

void t.test('a refused upgrade leaves no socket behind, though the peer keeps it', async (t) => {
  const controller = await RunningController.start(t)
  const socket = await upgradeBy(controller, ['authorization: Bearer x'])
  const [answer] = await once(socket, 'data')
  t.match(String(answer), /^HTTP\/1\.1 401 /)
  await letGo(socket)
  t.pass('let go by the controller')
})

void t.test('peers that vanish during the upgrade do no harm', async (t) => {
  const controller = await RunningController.start(t)
  const key = await controller.enrol('web-1')
  for (const header of ['authorization: Bearer x', 'x: y']) {
    const socket = await upgradeBy(controller, [header])
    socket.resetAndDestroy()
  }
  const { nonce, controller: id } = await controller.challenge()
  const socket = await upgradeBy(controller, [`authorization: ${key.authorization(id, nonce)}`])
  socket.resetAndDestroy()
  const peer = await controller.connect(key)
  peer.say(helloOf())
  await peer.next('welcome')
  await peer.end()
  t.same(controller.fatal, [])
})

const evil: Readonly<Record<string, { data: string | Uint8Array; code: number }>> = {
  'no JSON': { data: 'hello', code: 4400 },
  'no message': { data: '{"type":"bye"}', code: 4400 },
  'bytes': { data: Buffer.from('{}'), code: 4400 },
  'a message over the limit': { data: 'x'.repeat(limits.messageBytesMax + 1), code: 1009 },
  'a report before hello': { data: JSON.stringify(observedOf()), code: 4400 },
  'members with names of thousands of characters': {
    data: JSON.stringify(
      Object.fromEntries(['', '2', '3'].map((end) => [`${'\u0001'.repeat(3000)}${end}`, 1])),
    ),
    code: 4400,
  },
}

for (const [what, { data, code }] of Object.entries(evil)) {
  void t.test(`a peer that sends ${what} is told why and the others go on`, async (t) => {
    const controller = await RunningController.start(t)
    const good = await controller.connect(await controller.enrol('web-1'))
    good.say(helloOf(), observedOf())
    const peer = await controller.connect(await controller.enrol('web-2'))
    peer.sayRaw(data)
    t.equal((await peer.closed).code, code)
    if (code === 4400) t.match(peer.messages.at(-1), { type: 'refused', message: /./ })
    await good.settled()
    t.match(await controller.ask('GET', '/healthz'), { status: 'ok' })
    t.same(controller.fatal, [])
    await good.end()
  })
}

void t.test('bytes that are no frames end the connection, and nothing else', async (t) => {
  const controller = await RunningController.start(t)
  const key = await controller.enrol('web-1')
  const { nonce, controller: id } = await controller.challenge()
  const socket = await upgradeBy(controller, [`authorization: ${key.authorization(id, nonce)}`])
  const [answer] = await once(socket, 'data')
  t.match(String(answer), /^HTTP\/1\.1 101 /)
  socket.write(Buffer.alloc(1000, 0xff))
  await letGo(socket)
  t.match(await controller.ask('GET', '/healthz'), { status: 'ok' })
  t.same(controller.fatal, [])
})

void t.test('a controller that stops does not wait for peers that do not listen', async (t) => {
  const controller = await RunningController.start(t)
  const key = await controller.enrol('web-1')
  const { nonce, controller: id } = await controller.challenge()
  // It never answers a close frame, and never ends.
  const socket = await upgradeBy(controller, [`authorization: ${key.authorization(id, nonce)}`])
  await once(socket, 'data')
  const [stopped] = await Promise.all([controller.stop().then(() => 'stopped'), letGo(socket)])
  t.equal(stopped, 'stopped')
})

/**
 * Resolves when the other end has no socket any more. This end stays half open, as that of a peer
 * which does not care: only a reset of what is still sent tells that nobody is there.
 */
async function letGo(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  socket.on('error', () => undefined)
  socket.on('close', () => resolve())
  socket.on('end', () => {
    const write = () => {
      if (!socket.destroyed) socket.write('x', () => setImmediate(write))
    }
    write()
  })
  socket.resume()
  await promise
}

/** A raw request for the upgrade; what comes back is the caller's to read. */
async function upgradeBy(
  controller: RunningController,
  headers: readonly string[],
): Promise<Socket> {
  const { hostname, port } = new URL(controller.url)
  const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true })
  await once(socket, 'connect')
  socket.write(
    [
      'GET /v1/agent HTTP/1.1',
      `host: ${hostname}`,
      'connection: Upgrade',
      'upgrade: websocket',
      'sec-websocket-version: 13',
      'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==',
      ...headers,
      '',
      '',
    ].join('\r\n'),
  )
  return socket
}
