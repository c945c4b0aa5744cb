// Bodies that nobody reads to their end: a client that goes silent in the middle of one is let go,
// and one that still sends when it is answered gets a moment to read the answer.

import type { FastifyInstance } from 'fastify'
import type { Clock } from '#shared/clock.ts'
import { limits } from '#shared/limits.ts'

export function boundBodies(app: FastifyInstance, clock: Clock): void {
  const patience = new WeakMap<object, () => void>()
  // A tarball is handed on as a stream, so that its route is asked at once: only JSON is waited for.
  app.addHook('preParsing', async (request) => {
    const { raw } = request
    const cancel = clock.timer(clock.now() + limits.bodyPatienceMs, () => raw.destroy())
    patience.set(raw, cancel)
    raw.once('close', cancel)
  })
  app.addHook('preValidation', async (request) => patience.get(request.raw)?.())
  app.addHook('onResponse', async (request) => {
    const { raw } = request
    if (raw.complete || raw.destroyed) return
    // RFC 9112, 9.6: closing at once could take the answer away from under the client's eyes.
    raw.on('error', () => undefined)
    raw.resume()
    const cancel = clock.timer(clock.now() + limits.drainMs, () => raw.destroy())
    for (const event of ['end', 'close']) raw.once(event, cancel)
  })
}
