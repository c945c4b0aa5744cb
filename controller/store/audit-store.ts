// The audit trail in SQL: appended to in the transaction of what it records, never changed. Each
// entry's hash covers the one before it (docs/audit.md).

import { type AuditEntry, type AuditHead, emptyTrail, linked } from '#shared/audit/audit-entry.ts'
import { canonicalJson, type Json } from '#shared/canonical-json.ts'
import { parseJson } from '#shared/json-text.ts'
import { limits } from '#shared/limits.ts'
import type { Kysely, Transaction } from 'kysely'
import type { AuditRecord } from '../access/audit.ts'
import type { Database } from './database.ts'
import type { Sight } from './history-store.ts'
import type { AuditRow, Tables } from './schema.ts'

/**
 * Records a deed in the transaction that does it: without its entry it does not happen. One
 * connection writes, one transaction at a time, so that no two entries follow the same one.
 */
export async function appendAudit(
  trx: Transaction<Tables>,
  { app = null, environment = null, why = null, details = {}, ...record }: AuditRecord,
): Promise<void> {
  // A half of a surrogate pair is none in UTF-8: what is hashed has to be what will be read back.
  const told = why?.toWellFormed() ?? null
  const content = { ...record, app, environment, why: told, details: bounded(details) }
  const entry = linked(await headOf(trx), content)
  await trx
    .insertInto('audit')
    .values({ ...entry, details: canonicalJson(entry.details) })
    .execute()
}

/** What is undefined is not filtered by; `since` in epoch milliseconds. */
export interface AuditFilter {
  readonly app?: string | undefined
  readonly environment?: string | undefined
  readonly who?: string | undefined
  readonly what?: string | undefined
  readonly outcome?: 'done' | 'denied' | undefined
  readonly since?: number | undefined
}

export interface AuditPage {
  readonly order: 'newest' | 'oldest'
  /** The number of the entry after which to go on, in that order. */
  readonly after: number | null
  readonly limit: number
}

export interface AuditFound {
  readonly items: readonly AuditEntry[]
  /** Where to go on; null at the end. */
  readonly next: number | null
}

export class AuditStore {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  /** For what is done or denied elsewhere than in the database. */
  async record(record: AuditRecord): Promise<void> {
    await this.#db.transaction().execute((trx) => appendAudit(trx, record))
  }

  head(): Promise<AuditHead> {
    return headOf(this.#db)
  }

  /**
   * A page of the entries that fit, newest or oldest first. It looks at so many entries and no more:
   * a page may have few items, or none, and others behind it.
   * @param sight what is of no app is only for those who see everything; what is of an app as a whole
   *   for those who see any environment of it
   */
  async list(filter: AuditFilter, page: AuditPage, sight: Sight): Promise<AuditFound> {
    const edge = await this.#edge(filter, page)
    if (edge === null) return { items: [], next: null }
    const isNewest = page.order === 'newest'
    const rows = await this.#matching(filter, page)
      .selectAll()
      .where('sequence', isNewest ? '>=' : '<=', edge.sequence)
      .where((e) =>
        e.or(
          sight.map(({ app, environment }) =>
            app === '*' && environment === '*'
              ? e.and([])
              : e.and([
                  app === '*' ? e('app', 'is not', null) : e('app', '=', app),
                  ...(environment === '*'
                    ? []
                    : [e('environment', '=', environment).or('environment', 'is', null)]),
                ]),
          ),
        ),
      )
      .orderBy('sequence', isNewest ? 'desc' : 'asc')
      .limit(page.limit)
      .execute()
    const last = rows.length === page.limit ? rows.at(-1)?.sequence : undefined
    const isAll = last === undefined && edge.seen < limits.auditSeenMax
    return { items: rows.map(entryOf), next: isAll ? null : (last ?? edge.sequence) }
  }

  /** The last of the entries that a page looks at, by the one filter that has an index. */
  async #edge(filter: AuditFilter, page: AuditPage) {
    const { who, what, outcome } = filter
    const indexed =
      who !== undefined
        ? { who }
        : what !== undefined
          ? { what }
          : filter.app !== undefined
            ? { app: filter.app, environment: filter.environment }
            : { outcome }
    const isNewest = page.order === 'newest'
    const row = await this.#db
      .selectFrom(
        this.#matching(indexed, page)
          .select('sequence')
          .orderBy('sequence', isNewest ? 'desc' : 'asc')
          .limit(limits.auditSeenMax)
          .as('seen'),
      )
      .select((e) => [
        (isNewest ? e.fn.min('sequence') : e.fn.max('sequence')).as('sequence'),
        e.fn.countAll<number>().as('seen'),
      ])
      .executeTakeFirst()
    return row === undefined || row.seen === 0 ? null : row
  }

  #matching(filter: AuditFilter, { order, after }: AuditPage) {
    let query = this.#db.selectFrom('audit')
    const start = after ?? (order === 'newest' ? Number.MAX_SAFE_INTEGER : 0)
    query = query.where('sequence', order === 'newest' ? '<' : '>', start)
    for (const name of ['app', 'environment', 'who', 'what', 'outcome'] as const) {
      const value = filter[name]
      if (value !== undefined) query = query.where(name, '=', value)
    }
    return filter.since === undefined ? query : query.where('at', '>=', filter.since)
  }
}

async function headOf(db: Kysely<Tables>): Promise<AuditHead> {
  const row = await db
    .selectFrom('audit')
    .select(['sequence', 'hash'])
    .orderBy('sequence', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row ?? emptyTrail
}

/**
 * A deed is never refused for the length of what there is to say of it: the longest members are left
 * out, and the others still say which deed it was.
 */
function bounded(details: NonNullable<AuditRecord['details']>) {
  if (bytesOf(details) <= limits.auditDetailsBytesMax) return details
  const kept: Record<string, Json> = {}
  let leftOutBytes = 0
  const members = Object.entries(details).map(([name, value]) => ({ [name]: value }))
  for (const member of members.toSorted((a, b) => bytesOf(a) - bytesOf(b))) {
    const isRoom =
      bytesOf({ ...kept, ...member, leftOutBytes: 1e15 }) <= limits.auditDetailsBytesMax
    if (isRoom && leftOutBytes === 0) Object.assign(kept, member)
    else leftOutBytes += bytesOf(member)
  }
  return { ...kept, leftOutBytes }
}

function bytesOf(value: Json): number {
  return Buffer.byteLength(canonicalJson(value))
}

/** SQLite holds any value in any column: what damage left there is told, and no hash fits it. */
function entryOf(row: AuditRow): AuditEntry {
  const { sequence, at, who, what, app, environment, why, outcome, details, hash } = row
  const isSound =
    typeof at === 'number' &&
    [who, what, details, hash].every((text) => typeof text === 'string') &&
    [app, environment, why].every((text) => text === null || typeof text === 'string') &&
    ['done', 'denied'].includes(outcome)
  if (isSound) return { ...row, details: detailsOf(details) }
  const none = { app: null, environment: null, why: null, outcome: 'denied' as const, hash: '' }
  const unreadable = JSON.stringify([at, who, what, app, environment, why, outcome, details, hash])
  return { sequence, at: 0, who: '', what: 'unreadable', ...none, details: { unreadable } }
}

/** Text that is not as it was written is shown as it is, and its hash does not fit. */
function detailsOf(text: string): { readonly [name: string]: Json } {
  const details = parseJson(text)
  return isObject(details) && canonicalJson(details) === text ? details : { unreadable: text }
}

function isObject(value: unknown): value is { readonly [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
