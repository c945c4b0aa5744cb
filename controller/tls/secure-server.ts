// The HTTPS server: TLS 1.3 and nothing older, a bound on handshakes under way and on how long one may
// take, and an answer to whoever speaks plain HTTP to it. Certificates change under its connections.

import type { IncomingMessage, RequestListener } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { Socket } from 'node:net'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import type { Credentials } from './certificate-source.ts'

export interface SecureServerOptions {
  readonly credentials: Credentials
  readonly shouldUpgradeCallback: (request: IncomingMessage) => boolean
  /** How long a handshake may take. */
  readonly handshakeMs?: number
}

export function createSecureServer(
  { credentials, shouldUpgradeCallback, handshakeMs = limits.handshakeMs }: SecureServerOptions,
  listener: RequestListener,
): Server {
  const server = createServer(
    {
      ...tlsOptions(credentials),
      shouldUpgradeCallback,
      handshakeTimeout: handshakeMs,
      // A tarball may take long; what stalls is ended by the publisher's own watchdog.
      requestTimeout: 0,
      maxHeaderSize: limits.headBytesMax,
      headersTimeout: limits.headPatienceMs,
    },
    listener,
  )
  boundHandshakes(server)
  return server
}

/** Whoever is connected stays; the next handshake is done with these. */
export function replaceCredentials(server: Server, credentials: Credentials): void {
  server.setSecureContext(tlsOptions(credentials))
}

function tlsOptions(credentials: Credentials) {
  return { ...credentials, minVersion: 'TLSv1.3' } as const
}

function boundHandshakes(server: Server): void {
  // Keyed by the peer's address and port: Node names no socket below a TLS socket.
  const pending = new Map<string, Socket>()
  server.on('connection', (socket: Socket) => {
    const peer = peerOf(socket)
    pending.set(peer, socket)
    socket.once('close', () => pending.delete(peer))
    const [oldest] = pending.size > limits.handshakesMax ? pending.values() : []
    oldest?.destroy()
  })
  server.on('secureConnection', (socket) => pending.delete(peerOf(socket)))
  server.on('tlsClientError', (error, socket) => {
    const below = pending.get(peerOf(socket))
    if (systemCodeOf(error) === 'ERR_SSL_HTTP_REQUEST' && below?.writable === true)
      refusePlainHttp(below)
    else socket.destroy()
  })
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}

function refusePlainHttp(socket: Socket): void {
  const error = new LockstepError(
    'bad-request',
    'this port speaks HTTPS, and the request was HTTP',
    {
      hint: 'Write https:// in the address.',
    },
  )
  const body = JSON.stringify(error.toWire())
  socket.once('finish', () => socket.destroy())
  socket.end(
    [
      'HTTP/1.1 400 Bad Request',
      'connection: close',
      'content-type: application/json',
      `content-length: ${Buffer.byteLength(body)}`,
      '',
      body,
    ].join('\r\n'),
  )
}
