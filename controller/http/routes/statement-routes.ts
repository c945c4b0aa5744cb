// Signed statements of releases: taken from CI and given back as they are. Agents ask for them by
// digest, as for all content.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { App, ErrorBody, ReleaseView, Version } from '#shared/api/schemas.ts'
import type { Clock } from '#shared/clock.ts'
import { statementOf } from '../../publishing/carried-statement.ts'
import type { HistoryStore } from '../../store/history-store.ts'
import type { ReleaseStore } from '../../store/release-store.ts'
import { releaseView } from '../../views/release-view.ts'
import { authorOf } from '../author.ts'
import { seenFailures } from '../seen-failures.ts'

export interface StatementRoutePorts {
  releases: ReleaseStore
  history: HistoryStore
  clock: Clock
}

const params = Type.Object({ app: App, version: Version })
const path = '/v1/apps/:app/releases/:version/statement'

export function statementRoutes(ports: StatementRoutePorts): FastifyPluginAsyncTypebox {
  const { releases } = ports
  return async (app) => {
    // Kept byte by byte, whatever a client calls it.
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
    app.put(
      path,
      {
        config: { access: { action: 'publish', scope: 'app' } },
        schema: {
          tags: ['releases'],
          consumes: ['application/json'],
          params,
          response: { 200: ReleaseView, 201: ReleaseView, 409: ErrorBody, 422: ErrorBody },
        },
      },
      async (request, reply) => {
        const { body } = request
        const { app: name, version } = request.params
        const content = Buffer.isBuffer(body) ? body : Buffer.alloc(0)
        const { outcome, release } = await releases.sign(name, version, content, {
          ...authorOf(request),
          at: ports.clock.now(),
        })
        const failed = await seenFailures(ports.history, request)
        return reply.code(outcome === 'first' ? 201 : 200).send(releaseView(release, failed))
      },
    )
    app.get(
      path,
      {
        config: { access: { action: 'read', scope: 'app' } },
        schema: { tags: ['releases'], params },
      },
      async (request, reply) => {
        const release = await releases.get(request.params.app, request.params.version)
        return reply.type('application/json').send(statementOf(release))
      },
    )
  }
}
