// The audit trail of a test's database: read whole, checked, and made to refuse.

import { sql } from 'kysely'
import type { AuditEntry, AuditHead } from '#shared/audit/audit-entry.ts'
import { ChainCheck, type ChainFault } from '#shared/audit/chain-check.ts'
import { AuditStore } from '#controller/store/audit-store.ts'
import type { Database } from '#controller/store/database.ts'

/** What whoever may read everything sees. */
export const everything = [{ app: '*', environment: '*' }]

export async function auditTrail(db: Database): Promise<readonly AuditEntry[]> {
  const page = { order: 'oldest', after: null, limit: 9999 } as const
  return (await new AuditStore(db).list({}, page, everything)).items
}

/** Null for a trail that is whole. */
export function chainFault(
  trail: readonly AuditEntry[],
  anchors: readonly AuditHead[] = [],
): ChainFault | null {
  const check = new ChainCheck(anchors)
  for (const entry of trail) {
    const fault = check.add(entry)
    if (fault !== null) return fault
  }
  return check.end()
}

/** From now on no entry can be written: as with a disk that is full at that very moment. */
export async function refuseAudit(db: Database): Promise<void> {
  await sql
    .raw(`CREATE TRIGGER planted BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'planted'); END`)
    .execute(db)
}

export async function allowAudit(db: Database): Promise<void> {
  await sql.raw('DROP TRIGGER planted').execute(db)
}

/** Every row of every table as text, but for what only says when somebody was here last. */
export async function rowsOf(db: Database): Promise<readonly string[]> {
  const { rows: tables } = await sql<{ name: string }>`
    SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name`.execute(db)
  const found: string[] = []
  for (const { name } of tables) {
    if (name === 'sqlite_sequence') continue
    const { rows } = await sql<object>`SELECT * FROM ${sql.table(name)}`.execute(db)
    found.push(...rows.map((row) => `${name} ${JSON.stringify({ ...row, last_used_at: null })}`))
  }
  return found.sort()
}
