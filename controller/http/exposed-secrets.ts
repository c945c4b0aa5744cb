// Refuses tokens where they are read by others: in addresses, which proxies and browsers write down, and
// in the texts of requests, which are stored and shown. Masks nothing by itself.

import type { FastifyInstance, FastifyRequest } from 'fastify'
import { reasonHeader } from '#shared/api/requests.ts'
import { LockstepError } from '#shared/errors.ts'
import { holdsSecret } from '#shared/secret-text.ts'

/** Headers whose text is stored with what the request does. */
const kept = [reasonHeader, 'idempotency-key']

/** The one route that takes a token in its body: a host that joins has nothing else to show. */
const enrolment = '/v1/enrol'

export function refuseExposedSecrets(app: FastifyInstance): void {
  app.addHook('onRequest', async (request) => {
    if (holdsSecret(decoded(request.raw.url ?? ''))) throw exposed('the address')
    const texts = kept.map((name) => String(request.headers[name] ?? ''))
    if (texts.some((text) => holdsSecret(decoded(text)))) throw exposed('a header')
  })
  app.addHook('preValidation', async (request) => {
    if (request.routeOptions.url === enrolment || !isJson(request)) return
    if (holdsSecret(JSON.stringify(request.body))) throw exposed('the body')
  })
}

/** As far as it can be decoded: a part that cannot stays as it is. */
function decoded(address: string): string {
  return address.replaceAll(/%([0-7][0-9A-Fa-f])/g, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  )
}

/** Whatever is no JSON is a stream, which no message quotes. */
function isJson({ body }: FastifyRequest): boolean {
  return typeof body === 'object' && body !== null && !('pipe' in body)
}

function exposed(where: string): LockstepError {
  return new LockstepError('exposed-secret', `there is a token or private key in ${where}`, {
    hint:
      'Nothing was done. A token belongs into the Authorization header; revoke this one if others ' +
      'could have read it: `lockstep token revoke ID`.',
  })
}
