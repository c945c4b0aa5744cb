// What becomes of releases after they were published: comparing two of them, removing one, pruning
// the old ones, and how many stay.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import {
  DiffView,
  KeepBody,
  KeepView,
  PruneAnswer,
  PruneBody,
  RemovedRelease,
} from '#shared/api/release-schemas.ts'
import { App, Version } from '#shared/api/schemas.ts'
import type { Clock } from '#shared/clock.ts'
import { limits } from '#shared/limits.ts'
import type { Author } from '../../access/audit.ts'
import type { ContentLibrary } from '../../content/content-library.ts'
import type { ReleaseRemoval } from '../../store/release-removal.ts'
import type { ReleaseStore } from '../../store/release-store.ts'
import { diffOf } from '../../views/release-diff.ts'
import { authorOf } from '../author.ts'
import { queryOf } from '../query.ts'

export interface ReleaseHistoryPorts {
  releases: ReleaseStore
  removal: ReleaseRemoval
  content: ContentLibrary
  clock: Clock
}

const read = { access: { action: 'read', scope: 'app' } } as const
const admin = { access: { action: 'admin', scope: 'app' } } as const
const params = Type.Object({ app: App, version: Version })
const appParams = Type.Object({ app: App })

export function releaseHistoryRoutes(ports: ReleaseHistoryPorts): FastifyPluginAsyncTypebox {
  const { releases, removal, content, clock } = ports
  return async (app) => {
    app.get(
      '/v1/apps/:app/releases/:version/diff',
      {
        config: read,
        schema: {
          tags: ['releases'],
          params,
          querystring: queryOf({
            from: Version,
            after: Type.Optional(Type.String({ pattern: '^[0-9]{1,9}$' })),
            limit: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,5}$' })),
          }),
          response: { 200: DiffView },
        },
      },
      async (request) => {
        const { from, after = '0', limit = String(limits.differencesMax) } = request.query
        const old = await releases.get(request.params.app, from)
        const young = await releases.get(request.params.app, request.params.version)
        return diffOf(content, old, young, {
          after: Number(after),
          limit: Math.min(Number(limit), limits.differencesMax),
        })
      },
    )
    app.delete(
      '/v1/apps/:app/releases/:version',
      { config: admin, schema: { tags: ['releases'], params, response: { 200: RemovedRelease } } },
      async (request) => {
        const author = { ...authorOf(request), at: clock.now() }
        const { version } = request.params
        const { app: name, tree } = await removal.remove(request.params.app, version, author)
        const recorded = () => removal.recorded()
        return { app: name, version, tree, swept: await content.sweep({ recorded, dryRun: false }) }
      },
    )
    app.post(
      '/v1/apps/:app/releases/prune',
      {
        config: admin,
        schema: {
          tags: ['releases'],
          params: appParams,
          body: PruneBody,
          response: { 200: PruneAnswer },
        },
      },
      (request) => prune(ports, request.params.app, request.body, authorOf(request)),
    )
    keepRoutes(app, ports)
  }
}

function keepRoutes(
  app: Parameters<FastifyPluginAsyncTypebox>[0],
  { removal, clock }: ReleaseHistoryPorts,
): void {
  const path = '/v1/apps/:app/keep'
  app.get(
    path,
    {
      config: read,
      schema: { tags: ['releases'], params: appParams, response: { 200: KeepView } },
    },
    async (request) => {
      const name = request.params.app
      return { app: name, keep: await removal.kept(name) }
    },
  )
  app.put(
    path,
    {
      config: admin,
      schema: {
        tags: ['releases'],
        params: appParams,
        body: KeepBody,
        response: { 200: KeepView },
      },
    },
    async (request) => {
      const name = request.params.app
      const author = { ...authorOf(request), at: clock.now() }
      await removal.keep(name, request.body.keep, author)
      return { app: name, keep: request.body.keep }
    },
  )
}

/** The releases first, durably; then what they alone were made of. */
async function prune(
  { removal, content, clock }: ReleaseHistoryPorts,
  app: string,
  { keep: asked, dryRun = false }: PruneBody,
  author: Author,
): Promise<PruneAnswer> {
  const keep = asked ?? (await removal.kept(app))
  const pruned = await removal.prune(app, keep, dryRun ? null : { ...author, at: clock.now() })
  const recorded = () => removal.recorded(dryRun ? pruned.removed : [])
  const swept = await content.sweep({ recorded, dryRun })
  return {
    app,
    dryRun,
    keep,
    removed: pruned.removed.map(({ version, tree, publishedAt, treeBytes }) => ({
      version,
      tree,
      publishedAt,
      treeBytes,
    })),
    needed: pruned.needed.map(({ release, by: needs }) => ({
      version: release.version,
      by: [...needs],
    })),
    swept,
  }
}
