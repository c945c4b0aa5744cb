// Whose request it is, and the reason that came with it in the header `Lockstep-Reason`: one way for
// every request that changes something, whether it has a body or not.

import type { FastifyRequest } from 'fastify'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { reasonHeader } from '#shared/api/requests.ts'
import type { Author } from '../access/audit.ts'

/** @throws LockstepError `bad-request` for a reason that cannot be read or is too long. */
export function authorOf(request: Pick<FastifyRequest, 'principal' | 'headers'>): Author {
  const header = request.headers[reasonHeader]
  return { by: request.principal, why: typeof header === 'string' ? reasonIn(header) : null }
}

/** Percent-encoded UTF-8, for a header is ASCII. */
function reasonIn(header: string): string {
  const reason = decoded(header)
  if (reason !== null && reason !== '' && reason.length <= limits.reasonCharsMax) return reason
  throw new LockstepError('bad-request', `the header ${reasonHeader} holds no reason`, {
    hint: `It is percent-encoded UTF-8 and has 1 to ${limits.reasonCharsMax} characters.`,
  })
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch (error) {
    if (!(error instanceof URIError)) throw error
    return null
  }
}
