// The upgrade to the agents' channel: identity first, then a WebSocket (RFC 6455) with limits.

import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { parseUpgradeAuthorization } from '#shared/wire/challenge.ts'
import { encode } from '#shared/wire/codec.ts'
import { type Challenges, isUpgradeSigned } from '../access/agent-identity.ts'
import { type CallRates, retryAfter } from '../access/call-rates.ts'
import type { Denials } from '../access/denials.ts'
import { exporterOf } from '../access/channel-binding.ts'
import type { Binding, Channel } from '../sessions/channel.ts'
import { clonedIdentity, type SessionRegistry } from '../sessions/session-registry.ts'
import { isDatabaseTrouble } from '../store/database.ts'
import type { TlsFacts } from '../tls/controller-tls.ts'
import type { EnrolledHost, HostStore } from '../store/host-store.ts'

export interface AgentUpgradePorts {
  controllerId: string
  challenges: Challenges
  hosts: HostStore
  sessions: SessionRegistry
  rates: CallRates
  /** Then the address of an agent is what the proxy says it is. */
  isBehindProxy: boolean
  denials: Denials
  tls: TlsFacts
  /** A fault of the program. */
  onError: (error: unknown) => void
}

/** Whether a request that asks for an upgrade asks for ours; any other is answered without one. */
export function isWebSocketUpgrade(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === 'websocket'
}

/** Serves `GET /v1/agent` on the server. Every other WebSocket is refused. */
export function serveAgents(server: Server, ports: AgentUpgradePorts): void {
  // Not in one literal: the types of ws do not know `closeTimeout` yet.
  const options = {
    noServer: true,
    clientTracking: false,
    maxPayload: limits.messageBytesMax,
    perMessageDeflate: false,
    closeTimeout: limits.closeWaitMs,
  }
  const sockets = new WebSocketServer(options)
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', ignoreReset)
    void identify(request, ports)
      .then((host) => {
        socket.off('error', ignoreReset)
        sockets.handleUpgrade(request, socket, head, (webSocket) => open(webSocket, host, ports))
      })
      .catch((error: unknown) => {
        const refusal = asRefusal(error)
        if (refusal === null) ports.onError(error)
        else noteDenial(refusal, addressOf(request, ports), ports.denials)
        if (refusal?.status === 401) {
          return refuse(socket, ports.rates.refused(refusal, addressOf(request, ports)))
        }
        refuse(socket, refusal ?? new LockstepError('internal', 'the controller failed'))
      })
  })
}

/** Whatever it says of itself is not taken: it did not prove it. */
function noteDenial({ code }: LockstepError, address: string, denials: Denials): void {
  if (code === 'not-found' || code === 'busy') return
  denials.note({ who: 'nobody', what: 'connect', app: null, environment: null, address, code })
}

/** @throws LockstepError `not-found`, `unauthorised`, `bad-signature`, `unknown-host`, `cloned-identity`. */
async function identify(request: IncomingMessage, ports: AgentUpgradePorts): Promise<EnrolledHost> {
  ports.rates.ofAgentsAt(addressOf(request, ports))
  if (request.url !== '/v1/agent') {
    throw new LockstepError('not-found', 'there is no WebSocket at this address', {
      hint: 'Agents connect to /v1/agent below the controller\u2019s address.',
    })
  }
  // A browser always names its page's origin here, and an agent never does.
  if (request.headers.origin !== undefined) {
    throw new LockstepError('unauthorised', 'a page of a browser may not connect here', {
      hint: 'Only agents connect here. People use /v1/events.',
    })
  }
  const authorization = parseUpgradeAuthorization(request.headers.authorization)
  if (authorization === null) {
    throw new LockstepError('unauthorised', 'the upgrade bears no agent\u2019s signature', {
      hint: 'Only agents connect here. People use /v1/events.',
    })
  }
  const isFresh = ports.challenges.use(authorization.nonce)
  const host = await ports.hosts.get(authorization.host)
  if (host === null) {
    throw new LockstepError('unknown-host', 'this host is not enrolled here, or was removed', {
      hint: 'Join it with a new token: `lockstep agent --join-token-file FILE`.',
    })
  }
  const here = { controller: ports.controllerId, exporter: exporterOf(request.socket) }
  if (isFresh && isUpgradeSigned(host.publicKey, authorization, here)) {
    if (ports.sessions.isCloned(host.id)) throw clonedIdentity(host)
    return host
  }
  throw new LockstepError('bad-signature', 'the upgrade is not signed for this connection', {
    hint:
      'The agent tries again by itself. If it lasts: its identity file is of another host, or ' +
      'somebody sits in between; for a proxy that ends TLS see `channel-binding`.',
  })
}

/** As fastify says it of other requests: the last that a proxy has added, and nothing before it. */
function addressOf(request: IncomingMessage, { isBehindProxy }: AgentUpgradePorts): string {
  const own = request.socket.remoteAddress ?? ''
  const forwarded = isBehindProxy ? String(request.headers['x-forwarded-for'] ?? '') : ''
  return forwarded.split(',').at(-1)?.trim() || own
}

function open(webSocket: WebSocket, host: EnrolledHost, ports: AgentUpgradePorts): void {
  const session = ports.sessions.accept(host, channelOf(webSocket, bindingOf(ports.tls)))
  webSocket.on('message', (data, isBinary) => {
    if (isBinary) return session.refuse(new LockstepError('bad-message', 'messages are text'))
    session.receive(textOf(data)).catch((error: unknown) => {
      const refusal = asRefusal(error)
      if (refusal === null) ports.onError(error)
      else session.refuse(refusal)
    })
  })
  webSocket.on('close', () => session.closed())
  // A frame that breaks the protocol or its limit: ws closes the socket, `close` follows.
  webSocket.on('error', () => undefined)
}

/** The signature was checked against it, so that what this controller speaks says it of all. */
function bindingOf({ mode }: TlsFacts): Binding {
  if (mode === 'plain') return 'plain'
  return mode === 'behind-proxy' ? 'unbound' : 'bound'
}

/** A peer that does not read is let go: it asks again, and is told the newest then. */
function channelOf(webSocket: WebSocket, binding: Binding): Channel {
  return {
    binding,
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

/** What the peer is told, or null for a fault of the program. */
function asRefusal(error: unknown): LockstepError | null {
  if (error instanceof LockstepError) return error
  if (!isDatabaseTrouble(error)) return null
  const hint = 'The agent tries again by itself; the controller\u2019s log says what is wrong.'
  return new LockstepError('busy', 'the controller cannot read its database', {
    cause: error,
    hint,
  })
}

/** The connection ends with the answer, whether the peer reads it or not. */
function refuse(socket: Duplex, error: LockstepError): void {
  socket.once('finish', () => socket.destroy())
  const body = JSON.stringify(error.toWire())
  socket.end(
    [
      `HTTP/1.1 ${error.status} Refused`,
      'connection: close',
      ...(error.code === 'too-many-requests' ? [`retry-after: ${retryAfter(error)}`] : []),
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
