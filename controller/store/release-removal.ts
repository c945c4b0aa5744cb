// Removing releases: judged and recorded in one transaction, so that no environment comes to need
// what is being removed. Their content stays until it is swept.

import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import type { Transaction } from 'kysely'
import type { DatedAuthor } from '../access/audit.ts'
import type { RecordedContent } from '../content/ports.ts'
import { appendAudit } from './audit-store.ts'
import type { Database } from './database.ts'
import { releaseNeedsOf, type ReleaseNeed } from './release-needs.ts'
import { fromRow, type PublishedRelease, ReleaseStore } from './release-store.ts'
import type { Tables } from './schema.ts'

export interface Pruned {
  /** Newest first. */
  readonly removed: readonly PublishedRelease[]
  /** Older than those that are kept, and needed all the same. */
  readonly needed: readonly {
    readonly release: PublishedRelease
    readonly by: readonly ReleaseNeed[]
  }[]
}

export class ReleaseRemoval {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  /** @throws LockstepError `unknown-app`, `unknown-version`, `release-needed`. */
  async remove(app: string, version: string, author: DatedAuthor): Promise<PublishedRelease> {
    return this.#db.transaction().execute(async (trx) => {
      const release = await new ReleaseStore(trx).get(app, version)
      const by = (await releaseNeedsOf(trx, app)).get(version) ?? []
      if (by.length > 0) throw neededBy(release, by)
      await markRemoved(trx, [release], author)
      return release
    })
  }

  /**
   * All but the newest `keep` and those that are needed.
   * @param author null: says what would be removed
   * @throws LockstepError `unknown-app`.
   */
  async prune(app: string, keep: number, author: DatedAuthor | null): Promise<Pruned> {
    return this.#db.transaction().execute(async (trx) => {
      const rows = await trx
        .selectFrom('release')
        .selectAll()
        .where('app', '=', app)
        .where('removed_at', 'is', null)
        .orderBy('number', 'desc')
        .execute()
      if (rows.length === 0) {
        throw new LockstepError('unknown-app', `there is no release of ${app}`, {
          hint: 'See `lockstep status` for the apps that there are.',
        })
      }
      const needs = await releaseNeedsOf(trx, app)
      const older = rows.slice(keep).map((row) => {
        const release = fromRow(row)
        return { release, by: needs.get(release.version) ?? [] }
      })
      const removed = older.flatMap(({ release, by }) => (by.length === 0 ? [release] : []))
      if (author !== null) await markRemoved(trx, removed, author)
      return { removed, needed: older.filter(({ by }) => by.length > 0) }
    })
  }

  /** What all releases are made of, but for those that are named as if they were removed. */
  async recorded(without: readonly PublishedRelease[] = []): Promise<RecordedContent> {
    const left = new Set(without.map(({ number }) => number))
    const rows = await this.#db
      .selectFrom('release')
      .select(['tree', 'artifact', 'number'])
      .where('removed_at', 'is', null)
      .execute()
    const counted = rows.filter(({ number }) => !left.has(number))
    return {
      trees: new Set(counted.map(({ tree }) => tree)),
      artifacts: new Set(counted.map(({ artifact }) => artifact)),
    }
  }

  /** How many releases of the app pruning leaves. */
  async kept(app: string): Promise<number> {
    const row = await this.#db
      .selectFrom('setting')
      .select('value')
      .where('name', '=', keptSetting(app))
      .executeTakeFirst()
    return row === undefined ? limits.releasesKeptDefault : Number(row.value)
  }

  async keep(app: string, releases: number, { by, at, why }: DatedAuthor): Promise<void> {
    const value = String(releases)
    await this.#db.transaction().execute(async (trx) => {
      await trx
        .insertInto('setting')
        .values({ name: keptSetting(app), value })
        .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
        .execute()
      const deed = { who: by, what: 'keep-releases', app, outcome: 'done' as const }
      await appendAudit(trx, { at, ...deed, why, details: { keep: releases } })
    })
  }
}

function keptSetting(app: string): string {
  return `releases-kept/${app}`
}

async function markRemoved(
  trx: Transaction<Tables>,
  releases: readonly PublishedRelease[],
  { by, at, why }: DatedAuthor,
): Promise<void> {
  for (const { app, version, tree } of releases) {
    await trx
      .updateTable('release')
      .set({ removed_at: at, removed_by: by })
      .where('app', '=', app)
      .where('version', '=', version)
      .execute()
    const details = { version, tree }
    const deed = { who: by, what: 'remove-release', app, outcome: 'done' as const }
    await appendAudit(trx, { at, ...deed, why, details })
  }
}

function neededBy(release: PublishedRelease, by: readonly ReleaseNeed[]): LockstepError {
  const who = by.map(({ environment, need }) => `${environment} (${wordsOf(need)})`).join(', ')
  return new LockstepError(
    'release-needed',
    `${release.app} ${release.version} is needed by ${who}`,
    {
      hint: 'It can be removed when those environments have moved on.',
      details: { neededBy: by },
    },
  )
}

function wordsOf(need: ReleaseNeed['need']): string {
  switch (need) {
    case 'committed':
    case 'desired':
      return need
    case 'target':
      return 'the target of its open rollout'
    case 'fallback':
      return 'what its open rollout goes back to'
    case 'told':
      return 'what its hosts were told last'
    case 'way-back':
      return 'what `lockstep rollback` goes to'
  }
}
