// What has happened and what changes: recorded facts as a list, and both as server-sent events
// (HTML Living Standard, 9.2).

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { App, Environment, FactList, type FactView } from '#shared/api/schemas.ts'
import type { Clock } from '#shared/clock.ts'
import type { Announcements } from '../../runtime/announcements.ts'
import type { HistoryStore, Place, StoredFact } from '../../store/history-store.ts'
import { listed, PageQuery, pageOf } from '../paging.ts'
import { EventStream } from '../event-stream.ts'

export interface EventRoutePorts {
  history: HistoryStore
  announcements: Announcements
  clock: Clock
  /** Ends every stream when the controller stops. */
  stopping: AbortSignal
}

const place = { app: Type.Optional(App), environment: Type.Optional(Environment) }

export function eventRoutes(ports: EventRoutePorts): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/v1/facts',
      {
        config: { access: 'admin' },
        schema: {
          tags: ['events'],
          querystring: Type.Object({ ...PageQuery.properties, ...place }),
          response: { 200: FactList },
        },
      },
      async (request) => {
        const page = pageOf(request.query)
        const items = await ports.history.facts(page.after ?? 0, page.limit, placeOf(request.query))
        return listed(page, items, view, (fact) => fact.id)
      },
    )
    app.get(
      '/v1/events',
      {
        config: { access: 'admin' },
        schema: { tags: ['events'], querystring: Type.Object(place) },
      },
      async (request, reply) => {
        const lastSeen = Number(request.headers['last-event-id'])
        const after = Number.isSafeInteger(lastSeen) ? lastSeen : await ports.history.newestFact()
        reply.hijack()
        const stream = new EventStream(reply.raw, { ...ports, place: placeOf(request.query), view })
        stream.start(after)
      },
    )
  }
}

function placeOf(query: { app?: string; environment?: string }): Place | null {
  const { app, environment } = query
  return app === undefined || environment === undefined ? null : { app, environment }
}

function view(fact: StoredFact): FactView {
  const { id, at, app, environment, type, rollout, host, text } = fact
  return { id, at, app, environment, type, rollout, host, text }
}
