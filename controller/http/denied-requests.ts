// Which refusals are denied attempts, and what of the request is said of them. Nothing that a stranger
// can choose at will is written down.

import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type ErrorCode, LockstepError } from '#shared/errors.ts'
import { patterns } from '#shared/ids.ts'
import type { Denials } from '../access/denials.ts'
import { OutOfSight } from './access.ts'

/** For want of a right, not of something that is there; and what people closed. */
const denied: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'unauthorised',
  'forbidden',
  'own-request',
  'bad-join-token',
  'join-not-allowed',
  'name-taken',
  'bad-signature',
  'cloned-identity',
  'too-many-requests',
  'frozen',
  'not-promotable',
])

export function recordDenials(app: FastifyInstance, denials: Denials): void {
  app.addHook('onError', async (request, _reply, error) => {
    if (!(error instanceof LockstepError)) return
    const isDenied = denied.has(error.code) || error instanceof OutOfSight
    if (isDenied) denials.note({ ...attemptIn(request), code: error.code })
  })
}

function attemptIn(request: FastifyRequest) {
  const { method, routeOptions, principal, ip: address } = request
  const { url = 'an unknown address' } = routeOptions
  const isKnown = request.token !== null
  return {
    who: principal,
    what: url === '/v1/enrol' ? 'enrol' : `${method} ${url}`,
    // Of strangers not even the name of an app is taken.
    app: isKnown ? nameIn(request, 'app') : null,
    environment: isKnown ? nameIn(request, 'environment') : null,
    address,
  }
}

/** No schema has looked at it yet. */
function nameIn(request: FastifyRequest, name: 'app' | 'environment'): string | null {
  const { [name]: value } = (request.params ?? {}) as Record<string, unknown>
  return typeof value === 'string' && new RegExp(patterns.app).test(value) ? value : null
}
