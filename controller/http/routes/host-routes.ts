// Hosts: what each attests, and how one is taken out.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { DrainBody, Selector } from '#shared/api/requests.ts'
import { HostId, HostList, HostView } from '#shared/api/schemas.ts'
import type { Clock } from '#shared/clock.ts'
import { LockstepError } from '#shared/errors.ts'
import { parseSelector } from '#shared/labels.ts'
import type { Environments } from '../../runtime/environments.ts'
import type { SessionRegistry } from '../../sessions/session-registry.ts'
import type { HostStore, LabelledHost } from '../../store/host-store.ts'
import type { LiveView } from '../../views/live-view.ts'
import { seesOf, unknownHost } from '../access.ts'
import { authorOf } from '../author.ts'
import { refusal } from '../desired-answer.ts'
import { knownEnvironment } from '../known-environment.ts'
import type { OpenContent } from '../open-content.ts'
import { placeQuery, queryOf } from '../query.ts'

export interface HostRoutePorts {
  clock: Clock
  environments: Environments
  sessions: SessionRegistry
  hosts: HostStore
  live: LiveView
  openContent: OpenContent
}

const drains = { access: { action: 'deploy', scope: 'host' } } as const

export function hostRoutes(ports: HostRoutePorts): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/v1/hosts',
      {
        config: { access: { action: 'read', scope: 'none' } },
        schema: {
          tags: ['hosts'],
          querystring: queryOf({ ...placeQuery, label: Type.Optional(Selector) }),
          response: { 200: HostList },
        },
      },
      async (request) => {
        const { label, ...place } = request.query
        const wanted = label === undefined ? {} : parseSelector(label)
        return { items: await ports.live.hosts(place, seesOf(request), wanted), next: null }
      },
    )
    app.delete(
      '/v1/hosts/:id',
      {
        config: { access: { action: 'admin', scope: 'host' } },
        schema: {
          tags: ['hosts'],
          params: Type.Object({ id: HostId }),
          response: { 204: Type.Null() },
        },
      },
      async (request, reply) => {
        const { id } = request.params
        await knownHost(ports.hosts, id)
        await ports.hosts.remove(id, { ...authorOf(request), at: ports.clock.now() })
        ports.environments.remove(id)
        ports.sessions.remove(id)
        ports.openContent.end(id)
        return reply.code(204).send(null)
      },
    )
    drainRoutes(app, ports)
  }
}

function drainRoutes(app: Parameters<FastifyPluginAsyncTypebox>[0], ports: HostRoutePorts): void {
  const schema = {
    tags: ['hosts'],
    params: Type.Object({ id: HostId }),
    response: { 200: HostView },
  }
  app.post(
    '/v1/hosts/:id/drain',
    { config: drains, schema: { ...schema, body: DrainBody } },
    (request) => drain(ports, request.params.id, request.body.reason, request),
  )
  app.delete('/v1/hosts/:id/drain', { config: drains, schema }, (request) =>
    drain(ports, request.params.id, null, request),
  )
}

/** Takes the host out wherever it serves, or lets it in again. A repeat goes on where one stopped. */
async function drain(
  ports: HostRoutePorts,
  id: string,
  reason: string | null,
  request: FastifyRequest,
): Promise<HostView> {
  const host = await knownHost(ports.hosts, id)
  const author = authorOf(request)
  for (const place of host.apps) {
    const answer = await knownEnvironment(ports.environments, place).drain(id, reason, author)
    if (answer.outcome !== 'refused') continue
    const { code, message, hint, details } = refusal(answer)
    throw new LockstepError(code, `${place.app} in ${place.environment}: ${message}`, {
      ...(hint === undefined ? {} : { hint }),
      ...(details === undefined ? {} : { details }),
    })
  }
  return ports.live.host(host, seesOf(request))
}

/** @throws LockstepError `unknown-host`. */
async function knownHost(hosts: HostStore, id: string): Promise<LabelledHost> {
  const host = await hosts.get(id)
  if (host !== null) return host
  throw unknownHost(id)
}
