// What people decided about an environment: a freeze, and where a release has to be committed first.
// Each change is recorded as a fact with it, in one transaction.

import type { Kysely } from 'kysely'
import type { Author } from '../access/audit.ts'
import { appendAudit } from './audit-store.ts'
import type { Database } from './database.ts'
import type { HostApp } from './host-store.ts'
import type { Tables } from './schema.ts'

export interface Freeze {
  readonly reason: string
  /** Whom to ask about it. */
  readonly owner: string
  /** The token that it was asked for with. */
  readonly by: string
  /** Epoch milliseconds. */
  readonly at: number
}

export interface EnvironmentSettings {
  /** Null while it is not frozen. */
  readonly freeze: Freeze | null
  /** The environment in which a release has to be committed first; null for none. */
  readonly requires: string | null
  /** How many others have to approve what somebody asks for: 0 or 1. */
  readonly approvals: number
}

export interface SettingChange {
  readonly settings: EnvironmentSettings
  /** What people are told of it; `at` in epoch milliseconds. */
  readonly fact: {
    readonly type: 'frozen' | 'unfrozen' | 'requirement-set' | 'approvals-set'
    readonly text: string
    readonly at: number
  }
  readonly author: Author
  /** For the audit trail. */
  readonly details: { readonly [name: string]: string | number | null }
}

export class EnvironmentSettingStore {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  get(place: HostApp): Promise<EnvironmentSettings> {
    return read(this.#db, place)
  }

  /**
   * Changes the settings and records what people are told of it, both or neither.
   * @param decide is given what holds now; null changes nothing
   */
  async change(
    place: HostApp,
    decide: (now: EnvironmentSettings) => SettingChange | null,
  ): Promise<EnvironmentSettings> {
    const { app, environment } = place
    return this.#db.transaction().execute(async (trx) => {
      const now = await read(trx, place)
      const change = decide(now)
      if (change === null) return now
      const { settings, fact } = change
      const freeze = settings.freeze === null ? null : JSON.stringify(settings.freeze)
      const { requires, approvals } = settings
      await trx
        .insertInto('environment_setting')
        .values({ app, environment, freeze, requires, approvals })
        .onConflict((conflict) =>
          conflict.columns(['app', 'environment']).doUpdateSet({ freeze, requires, approvals }),
        )
        .execute()
      await trx
        .insertInto('fact')
        .values({ app, environment, ...fact, rollout: null, host: null })
        .execute()
      const { type, at } = fact
      const { by: who, why } = change.author
      await appendAudit(trx, {
        at,
        who,
        what: deeds[type],
        app,
        environment,
        why,
        outcome: 'done',
        details: change.details,
      })
      return settings
    })
  }
}

const deeds = {
  'frozen': 'freeze',
  'unfrozen': 'unfreeze',
  'requirement-set': 'set-requirement',
  'approvals-set': 'set-approvals',
} as const

async function read(db: Kysely<Tables>, place: HostApp): Promise<EnvironmentSettings> {
  const row = await db
    .selectFrom('environment_setting')
    .selectAll()
    .where('app', '=', place.app)
    .where('environment', '=', place.environment)
    .executeTakeFirst()
  if (row === undefined) return { freeze: null, requires: null, approvals: 0 }
  const freeze: Freeze | null = row.freeze === null ? null : JSON.parse(row.freeze)
  return { freeze, requires: row.requires, approvals: row.approvals }
}
