// The upgrade to the agents' channel: identity first, then a WebSocket (RFC 6455) with limits.

import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { parseUpgradeAuthorization } from '#shared/wire/challenge.ts'
import { encode } from '#shared/wire/codec.ts'
import { type Challenges, isUpgradeSigned } from '../access/agent-identity.ts'
import type { Channel } from '../sessions/channel.ts'
import type { SessionRegistry } from '../sessions/session-registry.ts'
import type { EnrolledHost, HostStore } from '../store/host-store.ts'

export interface AgentUpgradePorts {
  controllerId: string
  challenges: Challenges
  hosts: HostStore
  sessions: SessionRegistry
  onError: (error: unknown) => void
}

/** Serves `GET /v1/agent` on the server. Every other upgrade is refused. */
export function serveAgents(server: Server, ports: AgentUpgradePorts): void {
  const sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: limits.messageBytesMax,
    perMessageDeflate: false,
  })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', ignoreReset)
    void identify(request, ports)
      .then((host) => {
        socket.off('error', ignoreReset)
        sockets.handleUpgrade(request, socket, head, (webSocket) => open(webSocket, host, ports))
      })
      .catch((error: unknown) => {
        if (error instanceof LockstepError) refuse(socket, error)
        else {
          ports.onError(error)
          socket.destroy()
        }
      })
  })
}

/** @throws LockstepError `not-found`, `unauthorised`, `bad-signature` or `unknown-host`. */
async function identify(request: IncomingMessage, ports: AgentUpgradePorts): Promise<EnrolledHost> {
  if (request.url !== '/v1/agent') {
    throw new LockstepError('not-found', 'agents connect to /v1/agent')
  }
  const authorization = parseUpgradeAuthorization(request.headers.authorization)
  if (authorization === null) {
    throw new LockstepError('unauthorised', 'the upgrade bears no agent\u2019s signature')
  }
  const isFresh = ports.challenges.use(authorization.nonce)
  const host = await ports.hosts.get(authorization.host)
  if (host === null) {
    throw new LockstepError('unknown-host', 'this host is not enrolled here, or was removed', {
      hint: 'Join it with a new token: `lockstep agent --join-token-file FILE`.',
    })
  }
  if (isFresh && isUpgradeSigned(host.publicKey, ports.controllerId, authorization)) return host
  throw new LockstepError('bad-signature', 'the upgrade is not signed over a fresh challenge', {
    hint: 'The agent tries again by itself; if it lasts, its identity file is of another host.',
  })
}

function open(webSocket: WebSocket, host: EnrolledHost, ports: AgentUpgradePorts): void {
  const session = ports.sessions.accept(host, channelOf(webSocket))
  webSocket.on('message', (data, isBinary) => {
    if (isBinary) session.refuse(new LockstepError('bad-message', 'messages are text'))
    else session.receive(textOf(data)).catch(ports.onError)
  })
  webSocket.on('close', () => session.closed())
  // A frame that breaks the protocol or its limit: ws closes the socket, `close` follows.
  webSocket.on('error', () => undefined)
}

/** A peer that does not read is let go: it asks again, and is told the newest then. */
function channelOf(webSocket: WebSocket): Channel {
  return {
    send(message) {
      if (webSocket.readyState !== webSocket.OPEN) return
      if (webSocket.bufferedAmount > limits.sendBufferBytesMax) webSocket.terminate()
      else webSocket.send(encode(message))
    },
    close(code, reason) {
      webSocket.close(code, reason)
    },
  }
}

function textOf(data: Buffer | ArrayBuffer | Buffer[]): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString('utf8')
  return Buffer.isBuffer(data) ? data.toString('utf8') : Buffer.from(data).toString('utf8')
}

function refuse(socket: Duplex, error: LockstepError): void {
  const body = JSON.stringify(error.toWire())
  socket.end(
    [
      `HTTP/1.1 ${error.status} Refused`,
      'connection: close',
      'content-type: application/json',
      `content-length: ${Buffer.byteLength(body)}`,
      '',
      body,
    ].join('\r\n'),
  )
}

function ignoreReset(): void {
  // The peer went away before it was answered: there is nobody left to tell.
}
