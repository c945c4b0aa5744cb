// The bytes of releases: manifests and packs for agents, the published artifact as provenance.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { App, Digest, Version } from '#shared/api/schemas.ts'
import type { ContentLibrary } from '../../content/content-library.ts'
import type { ReleaseStore } from '../../store/release-store.ts'
import { replyContent } from '../content-reply.ts'
import { queryOf } from '../query.ts'

export interface ContentRoutePorts {
  content: ContentLibrary
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
        const opened = await content.openPack(request.params.digest, request.query.from ?? null)
        return replyContent(request, reply, opened, 'application/zstd')
      },
    )
    app.get(
      '/v1/apps/:app/releases/:version/artifact',
      {
        config: { access: 'admin' },
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
