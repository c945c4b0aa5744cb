// What hooks have said in a rollout.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { HookOutputList } from '#shared/api/output-schemas.ts'
import type { HookOutputStore } from '../../store/hook-output-store.ts'
import type { LiveView } from '../../views/live-view.ts'
import { listed, pageOf } from '../paging.ts'
import { pageQuery, queryOf } from '../query.ts'

export interface OutputRoutePorts {
  hookOutputs: HookOutputStore
  live: LiveView
}

export function outputRoutes({ hookOutputs, live }: OutputRoutePorts): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/v1/rollouts/:id/output',
      {
        config: { access: { action: 'read', scope: 'rollout' } },
        schema: {
          tags: ['rollouts'],
          params: Type.Object({ id: Type.String() }),
          querystring: queryOf(pageQuery),
          response: { 200: HookOutputList },
        },
      },
      async (request) => {
        const { id } = await live.rolloutById(request.params.id)
        const page = pageOf(request.query)
        const items = await hookOutputs.list(id, page.after ?? 0, page.limit)
        return listed(
          page,
          items,
          (item) => item,
          (item) => item.id,
        )
      },
    )
  }
}
