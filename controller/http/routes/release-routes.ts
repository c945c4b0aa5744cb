// Publishing and listing releases.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { Readable } from 'node:stream'
import { App, AppList, ErrorBody, ReleaseList, ReleaseView, Version } from '#shared/api/schemas.ts'
import type { Clock } from '#shared/clock.ts'
import { parseDescriptor } from '#shared/descriptor.ts'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import type { Author } from '../../access/audit.ts'
import { type Grants, mayInApp, sees } from '../../access/permission.ts'
import type { PublishRelease, PublishRequest } from '../../publishing/publish-release.ts'
import type { Environments } from '../../runtime/environments.ts'
import type { HistoryStore } from '../../store/history-store.ts'
import type { PublishedRelease, PublishOutcome, ReleaseStore } from '../../store/release-store.ts'
import { releaseView } from '../../views/release-view.ts'
import { grantsOf } from '../access.ts'
import { authorOf } from '../author.ts'
import { listed, pageOf } from '../paging.ts'
import { pageQuery, queryOf } from '../query.ts'
import { seenFailures } from '../seen-failures.ts'

export interface ReleaseRoutePorts {
  releases: ReleaseStore
  publish: PublishRelease
  environments: Environments
  history: HistoryStore
  clock: Clock
}

const params = Type.Object({ app: App, version: Version })

/** Request lines and headers are at most 16 KiB together. */
const requiresCharsMax = 8 * 1024

export function releaseRoutes(ports: ReleaseRoutePorts): FastifyPluginAsyncTypebox {
  const publishing = publishingOf(ports)
  return async (app) => {
    // Whatever a client calls its tarball, it is never read into memory as JSON or text.
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
    app.put(
      '/v1/apps/:app/releases/:version',
      {
        config: { access: { action: 'publish', scope: 'app' } },
        schema: {
          tags: ['releases'],
          consumes: ['application/octet-stream'],
          params,
          querystring: queryOf({
            strip: Type.Optional(Type.String({ pattern: '^[0-9]{1,2}$' })),
            /** The member `requires` of a descriptor, as JSON: for a tarball without one. */
            requires: Type.Optional(Type.String({ maxLength: requiresCharsMax })),
          }),
          response: { 200: ReleaseView, 201: ReleaseView, 409: ErrorBody },
        },
      },
      async (request, reply) => {
        const body = tarballOf(request)
        const gone = new AbortController()
        reply.raw.once('close', () => gone.abort(brokenOff()))
        const { strip = '0', requires } = request.query
        const done = await publishing(request.params, authorOf(request), {
          stream: body,
          strip: Number(strip),
          requires:
            requires === undefined ? undefined : parseDescriptor(`{"requires":${requires}}`),
          signal: gone.signal,
        })
        const failed = await seenFailures(ports.history, request)
        return reply
          .code(done.outcome === 'published' ? 201 : 200)
          .send(releaseView(done.release, failed))
      },
    )
    app.get(
      '/v1/apps/:app/releases',
      {
        config: { access: { action: 'read', scope: 'app' } },
        schema: {
          tags: ['releases'],
          params: Type.Object({ app: App }),
          querystring: queryOf(pageQuery),
          response: { 200: ReleaseList },
        },
      },
      async (request) => {
        const page = pageOf(request.query)
        const items = await ports.releases.list(request.params.app, page.limit, page.after)
        const failed = await seenFailures(ports.history, request)
        return listed(
          page,
          items,
          (release) => releaseView(release, failed),
          (release) => release.number,
        )
      },
    )
    appRoutes(app, ports)
  }
}

function appRoutes(app: Parameters<FastifyPluginAsyncTypebox>[0], ports: ReleaseRoutePorts): void {
  app.get(
    '/v1/apps',
    {
      config: { access: { action: 'read', scope: 'none' } },
      schema: { tags: ['releases'], response: { 200: AppList } },
    },
    async (request) => ({ items: await appsOf(ports, grantsOf(request)), next: null }),
  )
}

/** @throws LockstepError `bad-request` without a body, `archive-too-large` before it is read. */
function tarballOf(request: FastifyRequest): Readable {
  if (!(request.body instanceof Readable)) {
    throw new LockstepError('bad-request', 'the body is no tarball', {
      hint: 'Send the tarball itself as application/octet-stream.',
    })
  }
  const sizeBytes = Number(request.headers['content-length'] ?? 0)
  if (sizeBytes <= limits.artifactBytesMax) return request.body
  const message = `the tarball has ${sizeBytes} bytes, over ${limits.artifactBytesMax}`
  throw new LockstepError('archive-too-large', message, {
    hint: 'Leave out what the servers do not need, or split the app.',
  })
}

function brokenOff(): LockstepError {
  return new LockstepError('bad-archive', 'the upload of the tarball broke off', {
    hint: 'Publish it again.',
  })
}

/** One tarball at a time per slot: each holds a parser, a decoder and open files. */
function publishingOf(ports: ReleaseRoutePorts) {
  let underWay = 0
  return async (
    name: { app: string; version: string },
    { by: publishedBy, why }: Author,
    request: Omit<PublishRequest, 'record'>,
  ) => {
    if (underWay >= limits.publishesMax) {
      throw new LockstepError('busy', `${underWay} tarballs are being published`, {
        hint: 'Try again in a moment.',
      })
    }
    underWay += 1
    try {
      const recorded = Promise.withResolvers<PublishOutcome>()
      const { tree } = await ports.publish({
        ...request,
        record: async (published) => {
          const { manifest: _, ...stored } = published
          const release = { ...name, ...stored, publishedAt: ports.clock.now(), publishedBy }
          const unsigned = { statement: null, sequence: null }
          recorded.resolve(await ports.releases.publish({ ...release, ...unsigned }, why))
        },
      })
      const done = await recorded.promise
      if (done.outcome === 'version-exists') throw versionExists(done.release, tree)
      return done
    } finally {
      underWay -= 1
    }
  }
}

function versionExists(published: PublishedRelease, tree: string): LockstepError {
  return new LockstepError(
    'version-exists',
    `${published.app} ${published.version} was published before with other content`,
    {
      hint: 'A version never changes: publish this tarball under a new one.',
      details: { published: published.tree, uploaded: tree },
    },
  )
}

async function appsOf(ports: ReleaseRoutePorts, grants: Grants) {
  const all = ports.environments.all().map((runner) => runner.state.record)
  const places = all.filter((place) => sees(grants, place))
  const apps = (await ports.releases.apps()).filter(({ app }) => mayInApp(grants, 'read', app))
  const published = new Map(apps.map((a) => [a.app, a.releases]))
  const names = new Set([...published.keys(), ...places.map((place) => place.app)])
  return [...names].sort().map((app) => ({
    app,
    environments: places.filter((place) => place.app === app).map((place) => place.environment),
    releases: published.get(app) ?? 0,
  }))
}
