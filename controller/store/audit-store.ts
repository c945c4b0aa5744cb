// The audit trail in SQL: appended to in the transaction of what it records, never changed. Each
// entry's hash covers the one before it (docs/audit.md).

import { type AuditEntry, type AuditHead, emptyTrail, linked } from '#shared/audit/audit-entry.ts'
import { canonicalJson, type Json } from '#shared/canonical-json.ts'
import { parseJson } from '#shared/json-text.ts'
import { limits } from '#shared/limits.ts'
import type { Kysely, Transaction } from 'kysely'
import type { AuditRecord } from '../access/audit.ts'
import type { Database } from './database.ts'
import type { AuditRow, Tables } from './schema.ts'

/**
 * Records a deed in the transaction that does it: without its entry it does not happen. One
 * connection writes, one transaction at a time, so that no two entries follow the same one.
 */
export async function appendAudit(
  trx: Transaction<Tables>,
  { app = null, environment = null, why = null, details = {}, ...record }: AuditRecord,
): Promise<void> {
  const content = { ...record, app, environment, why, details: bounded(details) }
  const entry = linked(await headOf(trx), content)
  await trx
    .insertInto('audit')
    .values({ ...entry, details: canonicalJson(entry.details) })
    .execute()
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

  /** Oldest first, after the entry `after`. */
  async following(after: number, limit: number): Promise<readonly AuditEntry[]> {
    const rows = await this.#db
      .selectFrom('audit')
      .selectAll()
      .where('sequence', '>', after)
      .orderBy('sequence')
      .limit(limit)
      .execute()
    return rows.map(entryOf)
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

/** A deed is never refused for the length of what there is to say of it. */
function bounded(details: NonNullable<AuditRecord['details']>) {
  const sizeBytes = Buffer.byteLength(canonicalJson(details))
  return sizeBytes <= limits.auditDetailsBytesMax ? details : { leftOutBytes: sizeBytes }
}

function entryOf({ details, ...row }: AuditRow): AuditEntry {
  return { ...row, details: detailsOf(details) }
}

/** Text that is not as it was written is shown as it is, and its hash does not fit. */
function detailsOf(text: string): { readonly [name: string]: Json } {
  const details = parseJson(text)
  return isObject(details) && canonicalJson(details) === text ? details : { unreadable: text }
}

function isObject(value: unknown): value is { readonly [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
