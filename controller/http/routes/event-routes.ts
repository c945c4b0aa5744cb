// What has happened and what changes: recorded facts as a list, and both as server-sent events
// (HTML Living Standard, 9.2).

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { FactList, type FactView } from '#shared/api/schemas.ts'
import type { Clock } from '#shared/clock.ts'
import type { OpenStreams } from '../../access/open-streams.ts'
import type { Announcements } from '../../runtime/announcements.ts'
import type { HistoryStore, StoredFact } from '../../store/history-store.ts'
import type { TokenStore } from '../../store/token-store.ts'
import { grantsOf } from '../access.ts'
import { EventStream } from '../event-stream.ts'
import { listed, pageOf } from '../paging.ts'
import { pageQuery, placeQuery, queryOf } from '../query.ts'

export interface EventRoutePorts {
  history: HistoryStore
  announcements: Announcements
  clock: Clock
  openStreams: OpenStreams
  tokens: TokenStore
  /** Ends every stream when the controller stops. */
  stopping: AbortSignal
}

/** Everybody is shown what is theirs to see. */
const config = { access: { action: 'read', scope: 'none' } } as const

export function eventRoutes(ports: EventRoutePorts): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/v1/facts',
      {
        config,
        schema: {
          tags: ['events'],
          querystring: queryOf({
            ...pageQuery,
            ...placeQuery,
            /** Without it the oldest comes first. */
            order: Type.Optional(Type.Enum(['oldest', 'newest'])),
          }),
          response: { 200: FactList },
        },
      },
      async (request) => {
        const { app: name, environment } = request.query
        const page = pageOf(request.query)
        const place = { app: name, environment }
        const sight = grantsOf(request)
        const items =
          request.query.order === 'newest'
            ? await ports.history.newestFacts(page.after, page.limit, place, sight)
            : await ports.history.facts(page.after ?? 0, page.limit, place, sight)
        return listed(page, items, view, (fact) => fact.id)
      },
    )
    app.get(
      '/v1/events',
      {
        config,
        // A stream that never ends has no head of its own to ask for.
        exposeHeadRoute: false,
        schema: { tags: ['events'], querystring: queryOf(placeQuery) },
      },
      async (request, reply) => {
        ports.openStreams.checkRoom(request.principal)
        const after = lastEventOf(request) ?? (await ports.history.newestFact())
        const { log, token } = request
        const stream = new EventStream(reply.raw, {
          ...ports,
          place: request.query,
          sight: grantsOf(request),
          until: token?.expiresAt ?? 0,
          onRevoked: (end) => ports.openStreams.add(request.principal, end),
          view,
          onFault: (error) => log.error({ err: error }, 'a stream of events ended'),
        })
        reply.hijack()
        stream.start(after)
        // It may have been revoked before the stream was known by it.
        const { principal } = request
        if ((await ports.tokens.get(principal)) === null) ports.openStreams.revoke(principal)
      },
    )
  }
}

/** Where the follower left off, or null for one that begins. */
function lastEventOf(request: FastifyRequest): number | null {
  const id = request.headers['last-event-id']
  return typeof id === 'string' && /^[0-9]{1,15}$/.test(id) ? Number(id) : null
}

function view(fact: StoredFact): FactView {
  const { id, at, app, environment, type, rollout, host, text } = fact
  return { id, at, app, environment, type, rollout, host, text }
}
