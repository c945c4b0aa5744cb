// Who may call a route: every route declares it, and the server refuses to start with one that does
// not. Tokens are Bearer tokens (RFC 6750).

import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Clock } from '#shared/clock.ts'
import { LockstepError } from '#shared/errors.ts'
import { hostOfContentToken } from '../access/content-token.ts'
import type { HostStore } from '../store/host-store.ts'
import type { TokenStore } from '../store/token-store.ts'
import type { SessionRegistry } from '../sessions/session-registry.ts'
import type { OpenContent } from './open-content.ts'

/** `open` to anyone; `content` to agents with a content token too; `admin` with an API token. */
export type Access = 'open' | 'content' | 'admin'

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access
  }
  interface FastifyRequest {
    /** Who calls, for records: the token's id or the agent's host id. */
    principal: string
    /** The host whose content token the request bears; it may fetch only what it is told. */
    agent: string | null
  }
}

export interface AccessPorts {
  tokens: TokenStore
  hosts: HostStore
  contentSecret: Uint8Array
  openContent: OpenContent
  sessions: SessionRegistry
  clock: Clock
}

export function requireAccess(app: FastifyInstance, ports: AccessPorts): void {
  app.decorateRequest('principal', 'nobody')
  app.decorateRequest('agent', null)
  app.addHook('onRoute', (route) => {
    if (route.config?.access !== undefined) return
    throw new Error(`the route ${String(route.method)} ${route.url} does not declare its access`)
  })
  app.addHook('onRequest', async (request, reply) => {
    const access = request.routeOptions.config.access
    // An address without a route is open: there is nothing behind it.
    if (access === undefined || access === 'open') return
    const text = bearerOf(request)
    const at = ports.clock.now()
    const named = access === 'content' ? hostOfContentToken(ports.contentSecret, text, at) : null
    if (named !== null) ports.openContent.add(named, reply.raw)
    const host = named !== null && (await isWelcome(named, ports)) ? named : null
    request.agent = host
    request.principal = host ?? (await ports.tokens.authenticate(text, at)).id
  })
}

/** A content token outlives the session that it was given in, but not that the host is turned away. */
async function isWelcome(host: string, { hosts, sessions }: AccessPorts): Promise<boolean> {
  return (await hosts.get(host)) !== null && !sessions.isCloned(host)
}

function bearerOf(request: FastifyRequest): string {
  const [, token] =
    /^Bearer ([0-9A-Za-z._-]{1,200})$/.exec(request.headers.authorization ?? '') ?? []
  if (token !== undefined) return token
  throw new LockstepError('unauthorised', 'the request bears no token', {
    hint: 'Send `Authorization: Bearer TOKEN`.',
  })
}
