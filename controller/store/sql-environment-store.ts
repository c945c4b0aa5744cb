// Environments in SQL: one transaction a save, compare-and-set on the revision; only the members
// and participants that changed are written.

import { setImmediate as otherWork } from 'node:timers/promises'
import type { Decision } from '#shared/environment/decision.ts'
import type { Fact } from '#shared/environment/events.ts'
import type { Rollout } from '#shared/environment/rollout.ts'
import { emptyRecord, type EnvironmentRecord, type Member } from '#shared/environment/state.ts'
import type { Fence } from '#shared/fence.ts'
import type { Transaction } from 'kysely'
import {
  type EnvironmentSave,
  type EnvironmentStore,
  RevisionConflict,
  type StoredEnvironment,
} from '../runtime/environment-store.ts'
import { appendAudit } from './audit-store.ts'
import type { Database } from './database.ts'
import { factText } from './fact-text.ts'
import { refuseRemoved } from './release-needs.ts'
import { readRollout, writeRollout } from './rollout-rows.ts'
import type { EnvironmentRow, Tables } from './schema.ts'

/** The record as it is stored in one document; the rest has rows. */
type StoredRecord = Omit<EnvironmentRecord, 'members' | 'rollout'> & { rollout: string | null }

export class SqlEnvironmentStore implements EnvironmentStore {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  async list(): Promise<readonly StoredEnvironment[]> {
    const rows = await this.#db.selectFrom('environment').selectAll().execute()
    return Promise.all(rows.map((row) => this.#read(row)))
  }

  async open(app: string, environment: string): Promise<StoredEnvironment> {
    const record = document(emptyRecord(app, environment))
    await this.#db
      .insertInto('environment')
      .values({ app, environment, revision: 0, record })
      .onConflict((conflict) => conflict.columns(['app', 'environment']).doNothing())
      .execute()
    const row = await this.#db
      .selectFrom('environment')
      .selectAll()
      .where('app', '=', app)
      .where('environment', '=', environment)
      .executeTakeFirstOrThrow()
    return this.#read(row)
  }

  async save(save: EnvironmentSave): Promise<number> {
    const { before, after, facts, audit, revision, at } = save
    const { app, environment } = after
    await this.#db.transaction().execute(async (trx) => {
      const { numUpdatedRows } = await trx
        .updateTable('environment')
        .set({ revision: revision + 1, record: document(after) })
        .where('app', '=', app)
        .where('environment', '=', environment)
        .where('revision', '=', revision)
        .executeTakeFirst()
      if (numUpdatedRows !== 1n) {
        throw new RevisionConflict(`${app} in ${environment} is no longer at revision ${revision}`)
      }
      await refuseRemoved(trx, app, before, after)
      await writeMembers(trx, before, after)
      for (const rollout of endedRollouts(facts, after))
        await writeRollout(trx, rollout, before.rollout)
      if (after.rollout !== null && after.rollout !== before.rollout) {
        await writeRollout(trx, after.rollout, before.rollout)
      }
      for (const fact of facts) await writeFact(trx, { app, environment }, fact, at)
      for (const record of audit) await appendAudit(trx, { ...record, app, environment, at })
    })
    // SQLite answers in this thread: a fleet that reports at once would hold up every socket.
    await otherWork()
    return revision + 1
  }

  async isRecorded(app: string, environment: string, fence: Fence): Promise<boolean> {
    const row = await this.#db
      .selectFrom('decision')
      .select('hash')
      .where('app', '=', app)
      .where('environment', '=', environment)
      .where('term', '=', fence.term)
      .where('epoch', '=', fence.epoch)
      .executeTakeFirst()
    return row?.hash === fence.hash
  }

  async rolloutOfKey(
    app: string,
    environment: string,
    key: string,
    since: number,
  ): Promise<Rollout | null> {
    const row = await this.#db
      .selectFrom('rollout')
      .selectAll()
      .where('app', '=', app)
      .where('environment', '=', environment)
      .where('request_key', '=', key)
      .where('started_at', '>=', since)
      .orderBy('number', 'asc')
      .executeTakeFirst()
    return row === undefined ? null : readRollout(this.#db, row)
  }

  async #read(row: EnvironmentRow): Promise<StoredEnvironment> {
    const stored: StoredRecord = JSON.parse(row.record)
    const members = await this.#db
      .selectFrom('member')
      .select(['host', 'name'])
      .where('app', '=', row.app)
      .where('environment', '=', row.environment)
      .execute()
    const rollout =
      stored.rollout === null
        ? undefined
        : await this.#db
            .selectFrom('rollout')
            .selectAll()
            .where('id', '=', stored.rollout)
            .executeTakeFirstOrThrow()
    const record: EnvironmentRecord = {
      // What a record of an earlier version does not have is as it is at first.
      ...emptyRecord(row.app, row.environment),
      ...stored,
      members: Object.fromEntries(members.map((member) => [member.host, member])),
      rollout: rollout === undefined ? null : await readRollout(this.#db, rollout),
    }
    return { record, revision: row.revision }
  }
}

function document(record: EnvironmentRecord): string {
  const { members: _, rollout, ...rest } = record
  const stored: StoredRecord = { ...rest, rollout: rollout?.id ?? null }
  return JSON.stringify(stored)
}

/** A step may end one rollout and start the next: the ended one is only in its fact. */
function endedRollouts(facts: readonly Fact[], after: EnvironmentRecord): readonly Rollout[] {
  return facts.flatMap((fact) =>
    fact.type === 'rollout-ended' && fact.rollout !== after.rollout ? [fact.rollout] : [],
  )
}

async function writeMembers(
  trx: Transaction<Tables>,
  before: EnvironmentRecord,
  after: EnvironmentRecord,
): Promise<void> {
  if (before.members === after.members) return
  const { app, environment } = after
  for (const host of Object.keys(before.members)) {
    if (after.members[host] !== undefined) continue
    await trx
      .deleteFrom('member')
      .where('app', '=', app)
      .where('environment', '=', environment)
      .where('host', '=', host)
      .execute()
  }
  for (const member of changed<Member>(before.members, after.members)) {
    await trx
      .insertInto('member')
      .values({ app, environment, host: member.host, name: member.name })
      .onConflict((conflict) =>
        conflict.columns(['app', 'environment', 'host']).doUpdateSet({ name: member.name }),
      )
      .execute()
  }
}

async function writeFact(
  trx: Transaction<Tables>,
  place: { app: string; environment: string },
  fact: Fact,
  at: number,
): Promise<void> {
  if (fact.type === 'decided') await writeDecision(trx, place, fact.decision)
  await trx
    .insertInto('fact')
    .values({ ...place, ...factText(fact), at })
    .execute()
}

async function writeDecision(
  trx: Transaction<Tables>,
  place: { app: string; environment: string },
  decision: Decision,
): Promise<void> {
  const { term, epoch, hash } = decision.fence
  await trx
    .insertInto('decision')
    .values({
      ...place,
      term,
      epoch,
      hash,
      kind: decision.kind,
      rollout: decision.rollout,
      wave: decision.wave,
      decision: JSON.stringify(decision),
      decided_at: decision.decidedAt,
    })
    .execute()
}

/** The values that are new or another object than before: states are never changed in place. */
function changed<T>(
  before: Readonly<Record<string, T>>,
  after: Readonly<Record<string, T>>,
): readonly T[] {
  return Object.entries(after).flatMap(([key, value]) => (before[key] === value ? [] : [value]))
}
