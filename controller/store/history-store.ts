// The recorded facts and the rollouts that have been, read as lists.

import type { FailureMark } from '#shared/api/schemas.ts'
import type { Rollout } from '#shared/environment/rollout.ts'
import type { Verdict } from '#shared/environment/verdict.ts'
import type { Release } from '#shared/release.ts'
import type { Database } from './database.ts'
import { readRollout } from './rollout-rows.ts'
import type { FactRow, RolloutRow } from './schema.ts'

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

/** Places that somebody may see; `*` stands for all. */
export type Sight = readonly Place[]

export interface FailedRelease {
  readonly release: Release
  readonly mark: FailureMark
}

export class HistoryStore {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  /** Oldest first, after the fact with the id `after`; of a place, an app or an environment. */
  async facts(
    after: number,
    limit: number,
    of: PlaceFilter,
    sight: Sight,
  ): Promise<readonly StoredFact[]> {
    return this.#factsOf(of, sight).where('id', '>', after).orderBy('id').limit(limit).execute()
  }

  /** Newest first, below the id `before` when given. */
  async newestFacts(
    before: number | null,
    limit: number,
    of: PlaceFilter,
    sight: Sight,
  ): Promise<readonly StoredFact[]> {
    return this.#factsOf(of, sight)
      .where('id', '<', before ?? Number.MAX_SAFE_INTEGER)
      .orderBy('id', 'desc')
      .limit(limit)
      .execute()
  }

  #factsOf(of: PlaceFilter, sight: Sight) {
    let query = this.#db
      .selectFrom('fact')
      .selectAll()
      .where((e) =>
        e.or(
          sight.map(({ app, environment }) =>
            e.and([
              ...(app === '*' ? [] : [e('app', '=', app)]),
              ...(environment === '*' ? [] : [e('environment', '=', environment)]),
            ]),
          ),
        ),
      )
    if (of.app !== undefined) query = query.where('app', '=', of.app)
    if (of.environment !== undefined) query = query.where('environment', '=', of.environment)
    return query
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

  async placeOf(rollout: string): Promise<Place | null> {
    const row = await this.#db
      .selectFrom('rollout')
      .select(['app', 'environment'])
      .where('id', '=', rollout)
      .executeTakeFirst()
    return row ?? null
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

  /**
   * The release that was committed last, of those other than the present one that did not fail here
   * since.
   */
  async releaseBefore(place: Place, tree: string | null): Promise<Release | null> {
    const rows = await this.#newest(place, ['committed'])
      .where('tree', '!=', tree ?? '')
      .orderBy('number', 'desc')
      .execute()
    const failed = new Set((await this.failed(place)).map(({ release }) => release.tree))
    const row = rows.find((candidate) => !failed.has(candidate.tree))
    return row === undefined ? null : releaseOf(row)
  }

  /** Whether a rollout of this tree ever ended committed there. */
  async wasCommitted(place: Place, tree: string): Promise<boolean> {
    const row = await this.#db
      .selectFrom('rollout')
      .select('id')
      .where('app', '=', place.app)
      .where('environment', '=', place.environment)
      .where('tree', '=', tree)
      .where('verdict', '=', 'committed')
      .limit(1)
      .executeTakeFirst()
    return row !== undefined
  }

  /** The releases whose newest verdict there is that they failed; the newest failure first. */
  async failed(of: { app: string; environment?: string }): Promise<readonly FailedRelease[]> {
    const rows = await this.#newest(of, ['committed', 'failed'])
      .where('verdict', '=', 'failed')
      .orderBy('number', 'desc')
      .execute()
    return rows.map((row) => {
      const { reason, phases }: Rollout = JSON.parse(row.rollout)
      const at = phases.at(-1)?.at ?? row.started_at
      const mark = { environment: row.environment, rollout: row.id, at, reason }
      return { release: releaseOf(row), mark }
    })
  }

  /** The newest rollout of each tree in each environment, of those with one of the verdicts. */
  #newest(of: { app: string; environment?: string }, verdicts: readonly Verdict[]) {
    const { app, environment } = of
    return this.#db
      .selectFrom('rollout')
      .selectAll()
      .where('number', 'in', (query) => {
        const newest = query
          .selectFrom('rollout')
          .select((e) => e.fn.max('number').as('number'))
          .where('app', '=', app)
          .where('verdict', 'in', verdicts)
          .groupBy(['environment', 'tree'])
        return environment === undefined ? newest : newest.where('environment', '=', environment)
      })
  }
}

function releaseOf({ rollout }: Pick<RolloutRow, 'rollout'>): Release {
  const { target }: Rollout = JSON.parse(rollout)
  return target
}
