// The audit trail, read: as a list with filters, or from its beginning to check or export it.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { AuditHeadView, AuditList } from '#shared/api/audit-schemas.ts'
import type { AuditStore } from '../../store/audit-store.ts'
import { grantsOf } from '../access.ts'
import { pageOf } from '../paging.ts'
import { pageQuery, placeQuery, queryOf } from '../query.ts'

export interface AuditRoutePorts {
  audit: AuditStore
}

/** Everybody is shown what is theirs to see. */
const config = { access: { action: 'read', scope: 'none' } } as const
const word = Type.Optional(Type.String({ minLength: 1, maxLength: 100 }))

export function auditRoutes({ audit }: AuditRoutePorts): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/v1/audit',
      {
        config,
        schema: {
          tags: ['audit'],
          querystring: queryOf({
            ...pageQuery,
            ...placeQuery,
            who: word,
            what: word,
            outcome: Type.Optional(Type.Enum(['done', 'denied'])),
            /** Not before this instant, epoch milliseconds. */
            since: Type.Optional(Type.String({ pattern: '^[0-9]{1,15}$' })),
            /** Without it the newest comes first. */
            order: Type.Optional(Type.Enum(['oldest', 'newest'])),
          }),
          response: { 200: AuditList },
        },
      },
      async (request) => {
        const { query } = request
        const { app: name, environment, who, what, outcome, since, order } = query
        const at = since === undefined ? undefined : Number(since)
        const filter = { app: name, environment, who, what, outcome, since: at }
        const page = { ...pageOf(query), order: order ?? 'newest' }
        const found = await audit.list(filter, page, grantsOf(request))
        return { items: [...found.items], next: found.next === null ? null : `${found.next}` }
      },
    )
    app.get(
      '/v1/audit/head',
      { config, schema: { tags: ['audit'], response: { 200: AuditHeadView } } },
      () => audit.head(),
    )
  }
}
