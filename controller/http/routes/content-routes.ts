// The bytes of releases: manifests and packs for agents, the published artifact as provenance.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { App, Digest, Version } from '#shared/api/schemas.ts'
import { LockstepError } from '#shared/errors.ts'
import type { ContentLibrary } from '../../content/content-library.ts'
import type { Environments } from '../../runtime/environments.ts'
import { toldTrees } from '../../runtime/told-trees.ts'
import { statementOf } from '../../publishing/carried-statement.ts'
import type { PublishedRelease, ReleaseStore } from '../../store/release-store.ts'
import { replyContent } from '../content-reply.ts'
import { queryOf } from '../query.ts'

export interface ContentRoutePorts {
  content: ContentLibrary
  environments: Environments
  releases: ReleaseStore
}

export function contentRoutes(ports: ContentRoutePorts): FastifyPluginAsyncTypebox {
  const { content, releases } = ports
  return async (app) => {
    app.get(
      '/v1/trees/:digest/manifest',
      {
        config: { access: 'content' },
        schema: { tags: ['content'], params: Type.Object({ digest: Digest }) },
      },
      async (request, reply) => {
        checkTold(ports.environments, request.agent, request.params.digest)
        const opened = await content.openManifest(request.params.digest)
        return replyContent(request, reply, opened, 'text/plain; charset=utf-8')
      },
    )
    app.get(
      '/v1/trees/:digest/pack',
      {
        config: { access: 'content' },
        schema: {
          tags: ['content'],
          params: Type.Object({ digest: Digest }),
          querystring: queryOf({ from: Type.Optional(Digest) }),
        },
      },
      async (request, reply) => {
        const { digest } = request.params
        const { from = null } = request.query
        checkTold(ports.environments, request.agent, digest, from)
        const opened = await content.openPack(digest, from)
        return replyContent(request, reply, opened, 'application/zstd')
      },
    )
    app.get(
      '/v1/trees/:digest/statements/:app/:version',
      {
        config: { access: 'content' },
        schema: {
          tags: ['content'],
          params: Type.Object({ digest: Digest, app: App, version: Version }),
        },
      },
      async (request, reply) => {
        const { digest, app: name, version } = request.params
        checkTold(ports.environments, request.agent, digest)
        const release = await releaseOf(releases, name, version, digest)
        return reply.type('application/json').send(statementOf(release))
      },
    )
    app.get(
      '/v1/apps/:app/releases/:version/artifact',
      {
        config: { access: { action: 'read', scope: 'app' } },
        schema: { tags: ['content'], params: Type.Object({ app: App, version: Version }) },
      },
      async (request, reply) => {
        const release = await releases.get(request.params.app, request.params.version)
        const opened = await content.openArtifact(release.artifact)
        return replyContent(request, reply, opened, 'application/octet-stream')
      },
    )
  }
}

/**
 * A release by its name and its tree: of one that has another tree, or is none at all, nothing more is
 * said to a host than of one that nobody signed.
 */
async function releaseOf(
  releases: ReleaseStore,
  app: string,
  version: string,
  tree: string,
): Promise<Pick<PublishedRelease, 'app' | 'version' | 'statement'>> {
  try {
    const release = await releases.get(app, version)
    if (release.tree === tree) return release
  } catch (error) {
    if (!(error instanceof LockstepError) || error.status !== 404) throw error
  }
  return { app, version, statement: null }
}

/**
 * A stolen content token opens nothing but what its host is told now, and says nothing of what else
 * there is.
 * @param host null for somebody with an API token, who may read everything
 * @throws LockstepError `not-told`
 */
function checkTold(
  environments: Environments,
  host: string | null,
  tree: string,
  from: string | null = null,
): void {
  if (host === null) return
  const { wanted, held } = toldTrees(environments, host)
  if (wanted.has(tree) && (from === null || held.has(from))) return
  const stranger = wanted.has(tree) ? from : tree
  throw new LockstepError('not-told', `nothing that this host is told names the tree ${stranger}`, {
    hint: 'An agent fetches what it is told to run or to stage, and asks anew when that changes.',
  })
}
