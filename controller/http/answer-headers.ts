// What every answer says to browsers: nothing here is a page that may run, frame or remember anything.

import type { FastifyInstance } from 'fastify'

/**
 * Names and texts of hosts travel in answers, and somebody may open one in a browser: it is shown as
 * data and as nothing else. Without CORS headers no page of another origin reads any of it.
 */
const headers = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; sandbox",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
} as const

export function protectAnswers(app: FastifyInstance): void {
  app.addHook('onRequest', async (_request, reply) => {
    // On the raw answer, so that streams that take it over say it too.
    for (const [name, value] of Object.entries(headers)) reply.raw.setHeader(name, value)
  })
}
