// The controller's TLS with a server of its own behind it, a clock that the test moves, and clients that
// look at what it shows.

import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import type { Server } from 'node:http'
import { Agent, get } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import type { Test } from 'tap'
import { WebSocketServer } from 'ws'
import { ControllerTls } from '#controller/tls/controller-tls.ts'
import type { TlsChoice } from '#shared/tls-choice.ts'
import { FakeClock } from './fake-clock.ts'

export const ownAuthority: TlsChoice = { mode: 'own-ca', names: [] }

export interface Served {
  readonly tls: ControllerTls
  readonly clock: FakeClock
  readonly port: number
  readonly ca: string
  readonly log: { readonly facts: object; readonly text: string }[]
}

export function dataIn(t: Test): string {
  const data = mkdtempSync(join(tmpdir(), 'lockstep-tls-data-'))
  t.teardown(() => rmSync(data, { recursive: true, force: true }))
  return data
}

export async function serve(
  t: Test,
  data: string,
  choice = ownAuthority,
  at = Date.now(),
): Promise<Served> {
  const clock = new FakeClock(at)
  const log: { facts: object; text: string }[] = []
  const keep = (facts: object, text: string) => log.push({ facts, text })
  const ports = { clock, data, host: '127.0.0.1', log: { warn: keep, info: keep } }
  const tls = await ControllerTls.open(choice, ports)
  t.teardown(() => tls.stop())
  const server = tls.createServer?.((_request, response) => response.end('here'), {
    shouldUpgradeCallback: () => true,
  })
  if (server === undefined) throw new Error('no TLS')
  const sockets = new WebSocketServer({ noServer: true })
  server.on('upgrade', (request, socket, head) => {
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on('message', (data: Buffer) => webSocket.send(data.toString('utf8')))
    })
  })
  const port = await listening(t, server)
  return { tls, clock, port, ca: tls.caPem() ?? '', log }
}

export async function listening(t: Test, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** The status of a request on a connection of its own, or why there is none. */
export function ask(
  { port, ca }: Served,
  options: ConnectionOptions = {},
): Promise<number | string> {
  const { promise, resolve } = Promise.withResolvers<number | string>()
  const agent = new Agent({ keepAlive: false })
  const request = get({ host: '127.0.0.1', port, ca, agent, ...options }, (answer) => {
    answer.resume().on('end', () => resolve(answer.statusCode ?? 0))
  })
  request.on('error', (error) => resolve('code' in error ? String(error.code) : error.message))
  return promise
}

/** A live connection, seen to be good. */
export async function handshake({ port, ca }: Served): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, ca })
  await once(socket, 'secureConnect')
  return socket
}
