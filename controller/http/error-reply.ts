// Every error as one JSON body: code, message, hint. What the program did wrong is logged and shown
// as `internal`, without its words.

import type { Socket } from 'node:net'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { withoutSecretText } from '#shared/secret-text.ts'
import { type CallRates, retryAfter } from '../access/call-rates.ts'
import { isDatabaseTrouble } from '../store/database.ts'

export function replyErrors(app: FastifyInstance, rates: CallRates): void {
  app.setErrorHandler((error: FastifyError | LockstepError, request, reply) => {
    const refusal = asLockstepError(error, request)
    return sendError(refusal.status === 401 ? rates.refused(refusal, request.ip) : refusal, reply)
  })
  app.setNotFoundHandler((request, reply) =>
    sendError(
      new LockstepError('not-found', `there is no ${request.method} ${request.url.slice(0, 200)}`, {
        hint: 'See /openapi.json for what there is.',
      }),
      reply,
    ),
  )
}

/** What is refused before a route is found: an address that cannot be decoded, a name over 100. */
export function replyFrameworkError(
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  void sendError(asLockstepError(error, request), reply)
}

/** What is no HTTP at all, or too much of it: there is a socket and no request. */
export function replyClientError(error: Error, socket: Socket): void {
  // Anything but the HTTP parser's or its timers' is of the connection, which nothing can be said on.
  const isAnswerable = /^(?:HPE_|ERR_HTTP_)/.test(systemCodeOf(error) ?? '')
  if (!isAnswerable || !socket.writable) {
    socket.destroy()
    return
  }
  const body = JSON.stringify(
    new LockstepError('bad-request', `the request cannot be read: ${error.message}`, {
      hint: 'Headers are at most 16 KiB together, and have to arrive within a minute.',
    }).toWire(),
  )
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

async function sendError(error: LockstepError, reply: FastifyReply): Promise<FastifyReply> {
  if (error.code === 'busy') reply.header('retry-after', '1')
  if (error.code === 'too-many-requests') reply.header('retry-after', retryAfter(error))
  // RFC 9110, 11.6.1: whoever is refused for want of a token is told which one.
  if (error.status === 401) reply.header('www-authenticate', 'Bearer realm="lockstep"')
  // Messages quote what was asked, and that may have been pasted.
  const body = withoutSecretText(JSON.stringify(error.toWire()))
  return reply.code(error.status).type('application/json').send(body)
}

function asLockstepError(
  error: FastifyError | LockstepError,
  request: FastifyRequest,
): LockstepError {
  if (error instanceof LockstepError) {
    if (error.status >= 500) request.log.error({ err: error, code: error.code }, 'request failed')
    return error
  }
  if (error.validation !== undefined) return badRequest(error.message)
  const status = error.statusCode ?? 500
  if (status === 413) {
    return new LockstepError('too-large', error.message, {
      hint: 'JSON bodies are at most 64 KiB.',
    })
  }
  if (status >= 400 && status < 500) return badRequest(error.message)
  request.log.error({ err: error }, 'request failed')
  if (isDatabaseTrouble(error)) return databaseTrouble(error)
  return new LockstepError('internal', 'the controller failed to answer', {
    hint: 'Its log says why.',
  })
}

function badRequest(message: string): LockstepError {
  return new LockstepError('bad-request', message, {
    hint: 'See /openapi.json for the shape that is expected.',
  })
}

function databaseTrouble(error: Error): LockstepError {
  const isFull = systemCodeOf(error) === 'SQLITE_FULL'
  return isFull
    ? new LockstepError('no-space', 'the controller\u2019s disk is full', {
        hint: 'Free space below its data directory; nothing was changed.',
        cause: error,
      })
    : new LockstepError('busy', 'the controller\u2019s database refused', {
        hint: 'Nothing was changed. Try again; the controller\u2019s log says why.',
        cause: error,
      })
}
