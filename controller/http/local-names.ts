// A controller that only this machine reaches, in plain HTTP, answers to the names of this machine alone.
// A page of a browser can have its own name lead to 127.0.0.1 (DNS rebinding), and would read the answers
// as its own; over TLS the certificate has the right name or there is no connection.

import type { FastifyInstance } from 'fastify'
import { LockstepError } from '#shared/errors.ts'
import { isLoopback } from '#shared/loopback.ts'

export function requireLocalNames(app: FastifyInstance): void {
  app.addHook('onRequest', async (request) => {
    const { host } = request.headers
    // HTTP/1.0 has no such header, and no browser speaks it.
    if (host === undefined || isLocalName(host)) return
    throw new LockstepError('wrong-host', 'this controller goes by the names of its machine only', {
      hint: 'Ask for localhost or 127.0.0.1; behind a proxy start it with --behind-proxy.',
    })
  })
}

/** @param authority RFC 9110, 7.2: a name or address, and perhaps a port */
function isLocalName(authority: string): boolean {
  const [, name] = /^(\[[0-9A-Fa-f:.]+\]|[^:[\]@/\s]+)(?::\d{1,5})?$/.exec(authority) ?? []
  return name !== undefined && isLoopback(name.replace(/^\[(.*)\]$/, '$1').toLowerCase())
}
