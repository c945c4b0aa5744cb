// Tokens in the HTTP API: what one may do and where, how one is made, and how they are listed.

import { type Static, Type } from 'typebox'
import { patterns } from '../ids.ts'
import { limits } from '../limits.ts'
import { AppEnvironment, nullable } from './schemas.ts'

const closed = { additionalProperties: false }
const instant = Type.Number()
const anyOr = (pattern: string) => Type.String({ pattern: `${pattern}|^\\*$` })

/** What each may do is controller/access/permission.ts; docs/access.md. */
export const Role = Type.Enum(['viewer', 'publisher', 'deployer', 'admin'])
export type Role = Static<typeof Role>

/** A role in one environment of one app; `*` stands for every app, or for every environment. */
export const Grant = Type.Object(
  { role: Role, app: anyOr(patterns.app), environment: anyOr(patterns.environment) },
  closed,
)
export type Grant = Static<typeof Grant>

export const TokenBody = Type.Union([
  Type.Object(
    {
      kind: Type.Literal('join'),
      apps: Type.Array(AppEnvironment, { minItems: 1, maxItems: limits.appsPerHostMax }),
      ttlMs: Type.Optional(Type.Integer({ minimum: 1000, maximum: limits.joinTokenMsMax })),
      uses: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.joinTokenUsesMax })),
    },
    closed,
  ),
  Type.Object(
    {
      kind: Type.Literal('api'),
      grants: Type.Array(Grant, { minItems: 1, maxItems: limits.grantsMax }),
      /** Who holds it, as everybody is shown it. */
      owner: Type.Optional(Type.String({ minLength: 1, maxLength: limits.reasonCharsMax })),
      ttlMs: Type.Optional(Type.Integer({ minimum: 1000, maximum: limits.apiTokenMsMax })),
    },
    closed,
  ),
])
export type TokenBody = Static<typeof TokenBody>

export const TokenView = Type.Object({
  id: Type.String(),
  kind: Type.Enum(['join', 'api']),
  /** Of an API token. */
  grants: Type.Array(Grant),
  owner: nullable(Type.String()),
  /** Of a join token. */
  apps: Type.Array(AppEnvironment),
  createdAt: instant,
  expiresAt: instant,
  usesLeft: nullable(Type.Integer()),
  /** To the minute. */
  lastUsedAt: nullable(instant),
})
export type TokenView = Static<typeof TokenView>
export const TokenList = Type.Object({
  items: Type.Array(TokenView),
  next: nullable(Type.String()),
})
export type TokenList = Static<typeof TokenList>

/** The secret is shown once, here. */
export const TokenCreated = Type.Object({ token: Type.String(), view: TokenView })
export type TokenCreated = Static<typeof TokenCreated>

/** Whom the controller takes the caller for. */
export const WhoAmI = Type.Object({
  id: Type.String(),
  owner: nullable(Type.String()),
  grants: Type.Array(Grant),
  expiresAt: instant,
})
export type WhoAmI = Static<typeof WhoAmI>
