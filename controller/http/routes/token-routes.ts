// Tokens, and whom the controller takes the caller for. Nobody makes, sees or revokes a token that
// reaches further than what they administer.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import {
  TokenBody,
  TokenCreated,
  TokenList,
  type TokenView,
  WhoAmI,
} from '#shared/api/token-schemas.ts'
import type { Clock } from '#shared/clock.ts'
import { LockstepError } from '#shared/errors.ts'
import { withPin } from '#shared/join-token.ts'
import { limits } from '#shared/limits.ts'
import type { Author } from '../../access/audit.ts'
import type { OpenStreams } from '../../access/open-streams.ts'
import { everywhere, may, mayGive } from '../../access/permission.ts'
import {
  type NewToken,
  type Token,
  type TokenStore,
  unknownToken,
} from '../../store/token-store.ts'
import type { ControllerTls } from '../../tls/controller-tls.ts'
import { demandToGive, grantsOf } from '../access.ts'
import { authorOf } from '../author.ts'

export interface TokenRoutePorts {
  clock: Clock
  tokens: TokenStore
  openStreams: OpenStreams
  tls: ControllerTls
}

const config = { access: { action: 'admin', scope: 'none' } } as const

export function tokenRoutes(ports: TokenRoutePorts): FastifyPluginAsyncTypebox {
  const { tokens, clock, openStreams, tls } = ports
  return async (app) => {
    app.get(
      '/v1/whoami',
      {
        config: { access: { action: 'read', scope: 'none' } },
        schema: { tags: ['tokens'], response: { 200: WhoAmI } },
      },
      async ({ token }) => {
        if (token === null) throw new Error('this route is called with a token')
        const { id, owner, grants, expiresAt } = token
        return { id, owner, grants: [...grants], expiresAt }
      },
    )
    app.post(
      '/v1/tokens',
      { config, schema: { tags: ['tokens'], body: TokenBody, response: { 201: TokenCreated } } },
      async (request, reply) => {
        const { body } = request
        demandToGive(request, body.kind === 'join' ? body.apps : body.grants)
        const { text, token } = await tokens.create({
          ...newToken(body, clock.now()),
          ...authorOf(request),
        })
        // Whoever joins with it shows it to nobody else than who has this key.
        const shown = token.kind === 'join' ? withPin(text, tls.pins()[0]) : text
        return reply.code(201).send({ token: shown, view: view(token) })
      },
    )
    app.get(
      '/v1/tokens',
      { config, schema: { tags: ['tokens'], response: { 200: TokenList } } },
      async (request) => {
        const known = await tokens.list()
        return { items: known.filter((token) => isTheirs(request, token)).map(view), next: null }
      },
    )
    app.delete(
      '/v1/tokens/:id',
      {
        config,
        schema: {
          tags: ['tokens'],
          params: Type.Object({ id: Type.String({ pattern: '^[0-9A-Za-z_-]{11}$' }) }),
          response: { 204: Type.Null() },
        },
      },
      async (request, reply) => {
        const { id } = request.params
        const token = await tokens.get(id)
        if (token === null || !isTheirs(request, token)) throw unknownToken(id)
        await tokens.revoke(id, { ...authorOf(request), at: clock.now() })
        openStreams.revoke(id)
        return reply.code(204).send(null)
      },
    )
  }
}

/** @throws LockstepError `bad-request` for a grant that would never allow what it is made for. */
function newToken(body: TokenBody, createdAt: number): Omit<NewToken, keyof Author> {
  if (body.kind === 'join') {
    const expiresAt = createdAt + (body.ttlMs ?? limits.joinTokenMs)
    const { kind, apps, uses: usesMax = 1 } = body
    return { kind, grants: [], owner: null, apps, createdAt, expiresAt, usesMax }
  }
  const { kind, grants, owner = null, ttlMs = limits.apiTokenMs } = body
  const idle = grants.find(({ role, environment }) => {
    return role === 'publisher' && environment !== everywhere
  })
  if (idle !== undefined) {
    throw new LockstepError('bad-request', 'a publisher of one environment could publish nothing', {
      hint: 'Releases are an app\u2019s: give the role in all its environments (*).',
    })
  }
  const expiresAt = createdAt + ttlMs
  return { kind, grants, owner, apps: [], createdAt, expiresAt, usesMax: null }
}

/** Whether all that the token is good for is the caller\u2019s to give. */
function isTheirs(request: FastifyRequest, { grants: given, apps }: Token): boolean {
  const grants = grantsOf(request)
  const mayJoin = apps.every((place) => may(grants, 'admin', place))
  return mayJoin && given.every((grant) => mayGive(grants, grant))
}

function view(token: Token): TokenView {
  const { usesMax, used, apps, grants, ...rest } = token
  const usesLeft = usesMax === null ? null : usesMax - used
  return { ...rest, apps: [...apps], grants: [...grants], usesLeft }
}
