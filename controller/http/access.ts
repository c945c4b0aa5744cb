// Who may call a route: every route declares it, and the server refuses to start with one that does
// not. Tokens are Bearer tokens (RFC 6750).

import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Clock } from '#shared/clock.ts'
import { LockstepError } from '#shared/errors.ts'
import { hostOfContentToken } from '../access/content-token.ts'
import type { HostStore } from '../store/host-store.ts'
import type { TokenStore } from '../store/token-store.ts'

/** `open` to anyone; `content` to agents with a content token too; `admin` with an API token. */
export type Access = 'open' | 'content' | 'admin'

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access
  }
  interface FastifyRequest {
    /** Who calls, for records: the token's id or the agent's host id. */
    principal: string
  }
}

export interface AccessPorts {
  tokens: TokenStore
  hosts: HostStore
  contentSecret: Uint8Array
  clock: Clock
}

export function requireAccess(app: FastifyInstance, ports: AccessPorts): void {
  app.decorateRequest('principal', 'nobody')
  app.addHook('onRoute', (route) => {
    if (route.config?.access !== undefined) return
    throw new Error(`the route ${String(route.method)} ${route.url} does not declare its access`)
  })
  app.addHook('onRequest', async (request) => {
    const access = request.routeOptions.config.access
    // An address without a route is open: there is nothing behind it.
    if (access === undefined || access === 'open') return
    const text = bearerOf(request)
    const at = ports.clock.now()
    const host = access === 'content' ? await enrolledHostOf(text, at, ports) : null
    request.principal = host ?? (await ports.tokens.authenticate(text, at)).id
  })
}

/** A content token outlives the session that it was given in, but not the host's removal. */
async function enrolledHostOf(text: string, at: number, ports: AccessPorts) {
  const host = hostOfContentToken(ports.contentSecret, text, at)
  return host !== null && (await ports.hosts.get(host)) !== null ? host : null
}

function bearerOf(request: FastifyRequest): string {
  const [, token] =
    /^Bearer ([0-9A-Za-z._-]{1,200})$/.exec(request.headers.authorization ?? '') ?? []
  if (token !== undefined) return token
  throw new LockstepError('unauthorised', 'the request bears no token', {
    hint: 'Send `Authorization: Bearer TOKEN`.',
  })
}
