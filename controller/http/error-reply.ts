// Every error as one JSON body: code, message, hint. What the program did wrong is logged and shown
// as `internal`, without its words.

import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { LockstepError } from '#shared/errors.ts'

export function replyErrors(app: FastifyInstance): void {
  app.setErrorHandler((error: FastifyError | LockstepError, request, reply) =>
    sendError(asLockstepError(error, request), reply),
  )
  app.setNotFoundHandler((request, reply) =>
    sendError(
      new LockstepError('not-found', `there is no ${request.method} ${request.url.slice(0, 200)}`, {
        hint: 'See /openapi.json for what there is.',
      }),
      reply,
    ),
  )
}

async function sendError(error: LockstepError, reply: FastifyReply): Promise<FastifyReply> {
  if (error.code === 'busy') reply.header('retry-after', '1')
  return reply.code(error.status).type('application/json').send(error.toWire())
}

function asLockstepError(
  error: FastifyError | LockstepError,
  request: FastifyRequest,
): LockstepError {
  if (error instanceof LockstepError) {
    if (error.status >= 500) request.log.error({ err: error, code: error.code }, 'request failed')
    return error
  }
  if (error.validation !== undefined) {
    return new LockstepError(
      'bad-request',
      `${error.validationContext ?? 'request'}: ${error.message}`,
      {
        hint: 'See /openapi.json for the shape that is expected.',
      },
    )
  }
  const status = error.statusCode ?? 500
  if (status === 413) return new LockstepError('too-large', error.message)
  if (status >= 400 && status < 500) return new LockstepError('bad-request', error.message)
  request.log.error({ err: error }, 'request failed')
  return new LockstepError('internal', 'the controller failed to answer', {
    hint: 'Its log says why.',
  })
}
