// The recorded facts and the rollouts that have been, read as lists.

import type { Rollout } from '#shared/environment/rollout.ts'
import type { Database } from './database.ts'
import { readRollout } from './rollout-rows.ts'
import type { FactRow } from './schema.ts'

export type StoredFact = Omit<FactRow, 'id'> & { id: number }

export interface Place {
  readonly app: string
  readonly environment: string
}

/** What is undefined is not filtered by. */
export interface PlaceFilter {
  readonly app?: string | undefined
  readonly environment?: string | undefined
}

export class HistoryStore {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  /** Oldest first, after the fact with the id `after`; of a place, an app or an environment. */
  async facts(after: number, limit: number, of: PlaceFilter = {}): Promise<readonly StoredFact[]> {
    let query = this.#db
      .selectFrom('fact')
      .selectAll()
      .where('id', '>', after)
      .orderBy('id')
      .limit(limit)
    if (of.app !== undefined) query = query.where('app', '=', of.app)
    if (of.environment !== undefined) query = query.where('environment', '=', of.environment)
    return query.execute()
  }

  async newestFact(): Promise<number> {
    const row = await this.#db
      .selectFrom('fact')
      .select((e) => e.fn.max('id').as('id'))
      .executeTakeFirst()
    return row?.id ?? 0
  }

  async rollout(id: string): Promise<Rollout | null> {
    const row = await this.#db
      .selectFrom('rollout')
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirst()
    return row === undefined ? null : readRollout(this.#db, row)
  }

  /** Newest first, below the number `before` when given. */
  async rollouts(
    place: Place,
    limit: number,
    before: number | null,
  ): Promise<readonly { number: number; rollout: Rollout }[]> {
    const rows = await this.#db
      .selectFrom('rollout')
      .selectAll()
      .where('app', '=', place.app)
      .where('environment', '=', place.environment)
      .where('number', '<', before ?? Number.MAX_SAFE_INTEGER)
      .orderBy('number', 'desc')
      .limit(limit)
      .execute()
    return Promise.all(
      rows.map(async (row) => ({ number: row.number, rollout: await readRollout(this.#db, row) })),
    )
  }

  /** The last committed rollout to another tree than the present one. */
  async lastCommittedBut(place: Place, tree: string | null): Promise<Rollout | null> {
    const rows = await this.#db
      .selectFrom('rollout')
      .selectAll()
      .where('app', '=', place.app)
      .where('environment', '=', place.environment)
      .where('phase', '=', 'committed')
      .orderBy('number', 'desc')
      .limit(committedLookedAt)
      .execute()
    for (const row of rows) {
      const rollout = await readRollout(this.#db, row)
      if (rollout.target.tree !== tree) return rollout
    }
    return null
  }
}

/** How far back a way back is looked for. */
const committedLookedAt = 50
