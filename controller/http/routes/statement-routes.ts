// Signed statements of releases: taken from CI, given to people by name and to agents by digest.
// Carried as they are: whoever has the keys' other halves judges them.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { App, Digest, ErrorBody, ReleaseView, Version } from '#shared/api/schemas.ts'
import { LockstepError } from '#shared/errors.ts'
import type { HistoryStore } from '../../store/history-store.ts'
import type { PublishedRelease, ReleaseStore } from '../../store/release-store.ts'
import { releaseView } from '../../views/release-view.ts'
import { queryOf } from '../query.ts'

export interface StatementRoutePorts {
  releases: ReleaseStore
  history: HistoryStore
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
        config: { access: 'admin' },
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
        const { outcome, release } = await releases.sign(name, version, content)
        const failed = await ports.history.failed({ app: name })
        return reply.code(outcome === 'first' ? 201 : 200).send(releaseView(release, failed))
      },
    )
    app.get(
      path,
      { config: { access: 'admin' }, schema: { tags: ['releases'], params } },
      async (request, reply) => {
        const release = await releases.get(request.params.app, request.params.version)
        return reply.type('application/json').send(statementOf(release))
      },
    )
    app.get(
      '/v1/trees/:digest/statement',
      {
        config: { access: 'content' },
        schema: {
          tags: ['content'],
          params: Type.Object({ digest: Digest }),
          querystring: queryOf({ app: App, version: Version }),
        },
      },
      async (request, reply) => {
        const release = await releases.get(request.query.app, request.query.version)
        if (release.tree !== request.params.digest) throw notSigned(release)
        return reply.type('application/json').send(statementOf(release))
      },
    )
  }
}

function statementOf(release: PublishedRelease): Buffer {
  if (release.statement === null) throw notSigned(release)
  return Buffer.from(release.statement)
}

function notSigned({ app, version }: PublishedRelease): LockstepError {
  return new LockstepError('not-signed', `${app} ${version} has no signed statement`, {
    hint: 'Sign it with `lockstep sign`, and send the statement with `lockstep publish --statement`.',
  })
}
