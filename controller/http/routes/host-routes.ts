// Hosts, their enrolment and the tokens.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { ChallengeAnswer, EnrolAnswer, EnrolBody } from '#shared/api/enrolment.ts'
import { DrainBody, Selector } from '#shared/api/requests.ts'
import {
  HostId,
  HostList,
  HostView,
  TokenBody,
  TokenCreated,
  TokenList,
  type TokenView,
} from '#shared/api/schemas.ts'
import type { Clock } from '#shared/clock.ts'
import { LockstepError } from '#shared/errors.ts'
import { parseSelector } from '#shared/labels.ts'
import { limits } from '#shared/limits.ts'
import { type Challenges, checkEnrolment } from '../../access/agent-identity.ts'
import type { Author } from '../../access/audit.ts'
import type { Environments } from '../../runtime/environments.ts'
import { clonedIdentity, type SessionRegistry } from '../../sessions/session-registry.ts'
import type { HostStore, LabelledHost } from '../../store/host-store.ts'
import { parseJoinToken, type Token, type TokenStore } from '../../store/token-store.ts'
import type { LiveView } from '../../views/live-view.ts'
import { authorOf } from '../author.ts'
import { refusal } from '../desired-answer.ts'
import { knownEnvironment } from '../known-environment.ts'
import type { OpenContent } from '../open-content.ts'
import { placeQuery, queryOf } from '../query.ts'

export interface HostRoutePorts {
  controllerId: string
  clock: Clock
  challenges: Challenges
  environments: Environments
  sessions: SessionRegistry
  hosts: HostStore
  tokens: TokenStore
  live: LiveView
  openContent: OpenContent
}

const admin = { access: 'admin' as const }
const open = { access: 'open' as const }

export function hostRoutes(ports: HostRoutePorts): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/v1/hosts',
      {
        config: admin,
        schema: {
          tags: ['hosts'],
          querystring: queryOf({ ...placeQuery, label: Type.Optional(Selector) }),
          response: { 200: HostList },
        },
      },
      async (request) => {
        const { label, ...place } = request.query
        const wanted = label === undefined ? {} : parseSelector(label)
        return { items: await ports.live.hosts(place, wanted), next: null }
      },
    )
    app.delete(
      '/v1/hosts/:id',
      {
        config: admin,
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
    app.get(
      '/v1/agent/challenge',
      { config: open, schema: { tags: ['agents'], response: { 200: ChallengeAnswer } } },
      async () => ({ nonce: ports.challenges.draw(), controller: ports.controllerId }),
    )
    app.post(
      '/v1/enrol',
      {
        config: open,
        schema: { tags: ['agents'], body: EnrolBody, response: { 201: EnrolAnswer } },
      },
      async (request, reply) => {
        const { body } = request
        const { host: id } = checkEnrolment(body)
        const { name, publicKey, apps } = body
        if (ports.sessions.isCloned(id)) throw clonedIdentity({ name })
        const candidate = { id, name, publicKey, apps, enrolledAt: ports.clock.now() }
        const host = await ports.hosts.enrol(candidate, parseJoinToken(body.token))
        await ports.environments.join(host)
        return reply.code(201).send({ host: id, controller: ports.controllerId })
      },
    )
    tokenRoutes(app, ports)
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
    { config: admin, schema: { ...schema, body: DrainBody } },
    (request) => drain(ports, request.params.id, request.body.reason, authorOf(request)),
  )
  app.delete('/v1/hosts/:id/drain', { config: admin, schema }, (request) =>
    drain(ports, request.params.id, null, authorOf(request)),
  )
}

/** Takes the host out wherever it serves, or lets it in again. A repeat goes on where one stopped. */
async function drain(
  ports: HostRoutePorts,
  id: string,
  reason: string | null,
  author: Author,
): Promise<HostView> {
  const host = await knownHost(ports.hosts, id)
  for (const place of host.apps) {
    const answer = await knownEnvironment(ports.environments, place).drain(id, reason, author)
    if (answer.outcome !== 'refused') continue
    const { code, message, hint, details } = refusal(answer)
    throw new LockstepError(code, `${place.app} in ${place.environment}: ${message}`, {
      ...(hint === undefined ? {} : { hint }),
      ...(details === undefined ? {} : { details }),
    })
  }
  return ports.live.host(host)
}

/** @throws LockstepError `unknown-host`. */
async function knownHost(hosts: HostStore, id: string): Promise<LabelledHost> {
  const host = await hosts.get(id)
  if (host !== null) return host
  throw new LockstepError('unknown-host', `there is no host ${id}`, {
    hint: 'See `lockstep hosts`.',
  })
}

function tokenRoutes(
  app: Parameters<FastifyPluginAsyncTypebox>[0],
  { tokens, clock }: HostRoutePorts,
): void {
  app.post(
    '/v1/tokens',
    {
      config: admin,
      schema: { tags: ['tokens'], body: TokenBody, response: { 201: TokenCreated } },
    },
    async (request, reply) => {
      const { body } = request
      const author = authorOf(request)
      const createdAt = clock.now()
      const { text, token } = await tokens.create(
        body.kind === 'join'
          ? {
              kind: 'join',
              role: null,
              apps: body.apps,
              ...author,
              createdAt,
              expiresAt: createdAt + (body.ttlMs ?? limits.joinTokenMs),
              usesMax: body.uses ?? 1,
            }
          : {
              kind: 'api',
              role: body.role,
              apps: [],
              ...author,
              createdAt,
              expiresAt: createdAt + (body.ttlMs ?? limits.apiTokenMs),
              usesMax: null,
            },
      )
      return reply.code(201).send({ token: text, view: view(token) })
    },
  )
  app.get(
    '/v1/tokens',
    { config: admin, schema: { tags: ['tokens'], response: { 200: TokenList } } },
    async () => ({ items: (await tokens.list()).map(view), next: null }),
  )
  app.delete(
    '/v1/tokens/:id',
    {
      config: admin,
      schema: {
        tags: ['tokens'],
        params: Type.Object({ id: Type.String({ pattern: '^[0-9A-Za-z_-]{11}$' }) }),
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await tokens.revoke(request.params.id, { ...authorOf(request), at: clock.now() })
      return reply.code(204).send(null)
    },
  )
}

function view(token: Token): TokenView {
  const { usesMax, used, apps, ...rest } = token
  return { ...rest, apps: [...apps], usesLeft: usesMax === null ? null : usesMax - used }
}
