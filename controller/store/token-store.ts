// Tokens by the hash of their secret: a stolen database opens nothing.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Grant } from '#shared/api/token-schemas.ts'
import { LockstepError } from '#shared/errors.ts'
import { joinTokenOf } from '#shared/join-token.ts'
import type { AuditRecord, Author, DatedAuthor } from '../access/audit.ts'
import { appendAudit } from './audit-store.ts'
import { type Database, isDatabaseTrouble } from './database.ts'
import type { HostApp } from './host-store.ts'
import type { TokenRow } from './schema.ts'

export interface Token {
  readonly id: string
  readonly kind: 'join' | 'api'
  /** Of an API token: what it allows where. */
  readonly grants: readonly Grant[]
  /** Who holds it, where that was said. */
  readonly owner: string | null
  /** Of a join token. */
  readonly apps: readonly HostApp[]
  readonly createdAt: number
  readonly expiresAt: number
  readonly usesMax: number | null
  readonly used: number
  readonly lastUsedAt: number | null
}

export interface NewToken extends Author, Omit<Token, 'id' | 'used' | 'lastUsedAt'> {}

const useNotedEveryMs = 60_000
const prefixes = { join: 'lsj1', api: 'lsk1' } as const
const tokenPattern = /^(lsj1|lsk1)\.([0-9A-Za-z_-]{11})\.([0-9A-Za-z_-]{43})$/

export class TokenStore {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  /**
   * @param keep is given the token's text before anything is stored, so that no token is ever
   *   stored whose text nobody has
   * @returns the token's text, which is shown once and stored nowhere
   */
  async create(
    token: NewToken,
    keep: (text: string) => Promise<void> = () => Promise.resolve(),
  ): Promise<{ text: string; token: Token }> {
    const id = newId()
    const secret = randomBytes(32).toString('base64url')
    const row: TokenRow = {
      id,
      kind: token.kind,
      secret_hash: hashOf(secret),
      grants: JSON.stringify(token.grants),
      owner: token.owner,
      apps: JSON.stringify(token.apps),
      created_at: token.createdAt,
      expires_at: token.expiresAt,
      uses_max: token.usesMax,
      used: 0,
      last_used_at: null,
    }
    const text = `${prefixes[token.kind]}.${id}.${secret}`
    await keep(text)
    await this.#db.transaction().execute(async (trx) => {
      await trx.insertInto('token').values(row).execute()
      await appendAudit(trx, creation(id, token))
    })
    return { text, token: fromRow(row) }
  }

  /** @throws LockstepError `unauthorised` for anything but a good API token. */
  async authenticate(text: string, at: number): Promise<Token> {
    const parts = parseToken(text)
    const row =
      parts?.kind === 'api'
        ? await this.#db
            .selectFrom('token')
            .selectAll()
            .where('id', '=', parts.id)
            .executeTakeFirst()
        : undefined
    const good =
      parts !== null &&
      row !== undefined &&
      row.kind === 'api' &&
      timingSafeEqual(Buffer.from(row.secret_hash), Buffer.from(parts.secretHash))
    if (!good || row.expires_at <= at) throw unauthorised()
    await this.#noteUse(row, at)
    return fromRow(row)
  }

  /**
   * To the minute: a write at every request would cost each of them a sync of the disk. It is for
   * people to read only, and a full disk must not lock out whoever comes to look.
   */
  async #noteUse(row: TokenRow, at: number): Promise<void> {
    if (row.last_used_at !== null && at - row.last_used_at < useNotedEveryMs) return
    try {
      await this.#db
        .updateTable('token')
        .set({ last_used_at: at })
        .where('id', '=', row.id)
        .execute()
    } catch (error) {
      if (!isDatabaseTrouble(error)) throw error
    }
  }

  async list(): Promise<readonly Token[]> {
    const rows = await this.#db
      .selectFrom('token')
      .selectAll()
      .orderBy('created_at', 'desc')
      .execute()
    return rows.map(fromRow)
  }

  /** Null for one that there is not. */
  async get(id: string): Promise<Token | null> {
    const row = await this.#db
      .selectFrom('token')
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirst()
    return row === undefined ? null : fromRow(row)
  }

  /** @throws LockstepError `not-found`. */
  async revoke(id: string, { by, at, why }: DatedAuthor): Promise<void> {
    await this.#db.transaction().execute(async (trx) => {
      const { numDeletedRows } = await trx
        .deleteFrom('token')
        .where('id', '=', id)
        .executeTakeFirst()
      if (numDeletedRows !== 1n) throw unknownToken(id)
      const details = { token: id }
      await appendAudit(trx, { at, who: by, what: 'revoke-token', why, outcome: 'done', details })
    })
  }
}

export function unknownToken(id: string): LockstepError {
  return new LockstepError('not-found', `there is no token ${id}`, {
    hint: 'See `lockstep token list`.',
  })
}

function creation(id: string, token: NewToken): AuditRecord {
  const { kind, grants, owner, apps, createdAt, expiresAt, usesMax, by, why } = token
  const places = apps.map(({ app, environment }) => `${app}/${environment}`)
  const until = new Date(expiresAt).toISOString()
  const details = { token: id, kind, grants, owner, places, until, uses: usesMax }
  return { at: createdAt, who: by, what: 'create-token', why, outcome: 'done', details }
}

/** @throws LockstepError `bad-join-token` for what is no join token at all. */
export function parseJoinToken(text: string): {
  id: string
  secretHash: string
  pin: string | null
} {
  const token = joinTokenOf(text)
  if (token !== null) return { id: token.id, secretHash: hashOf(token.secret), pin: token.pin }
  throw new LockstepError('bad-join-token', 'this is no join token', {
    hint: 'A join token begins with lsj1. and is printed by `lockstep token create --join`.',
  })
}

function parseToken(text: string): { kind: 'join' | 'api'; id: string; secretHash: string } | null {
  const [, prefix, id, secret] = tokenPattern.exec(text) ?? []
  if (id === undefined || secret === undefined) return null
  return { kind: prefix === prefixes.join ? 'join' : 'api', id, secretHash: hashOf(secret) }
}

/** 256 random bits need no slow hash. */
function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}

function unauthorised(): LockstepError {
  return new LockstepError('unauthorised', 'the token is missing, unknown, expired or revoked', {
    hint: 'Set LOCKSTEP_TOKEN or LOCKSTEP_TOKEN_FILE; the first token is in DIR/admin-token.',
  })
}

function fromRow(row: TokenRow): Token {
  return {
    id: row.id,
    kind: row.kind,
    grants: JSON.parse(row.grants),
    owner: row.owner,
    apps: JSON.parse(row.apps),
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    usesMax: row.uses_max,
    used: row.used,
    lastUsedAt: row.last_used_at,
  }
}

/** Never with a dash in front: `lockstep token revoke` would take it for an option. */
function newId(): string {
  const id = randomBytes(8).toString('base64url')
  return id.startsWith('-') ? newId() : id
}
