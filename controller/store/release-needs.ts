// Who needs which release of an app, read from the stored environments inside the transaction that
// removes releases; and the other side of it: no environment is saved that newly names a removed one.
// Whichever of the two comes second sees the first.

import {
  type Need,
  neededReleasesOf,
  type NeedingRecord,
} from '#shared/environment/needed-releases.ts'
import { LockstepError } from '#shared/errors.ts'
import type { Kysely, Transaction } from 'kysely'
import { HistoryStore } from './history-store.ts'
import type { Tables } from './schema.ts'

export interface ReleaseNeed {
  readonly environment: string
  readonly need: Need
}

/** By version; those that nobody needs are not in it. */
export type ReleaseNeeds = ReadonlyMap<string, readonly ReleaseNeed[]>

export async function releaseNeedsOf(db: Kysely<Tables>, app: string): Promise<ReleaseNeeds> {
  const needs = new Map<string, ReleaseNeed[]>()
  const add = (version: string, environment: string, need: Need): void => {
    const known = needs.get(version) ?? []
    const isKnown = known.some((other) => other.environment === environment && other.need === need)
    if (!isKnown) needs.set(version, [...known, { environment, need }])
  }
  const rows = await db
    .selectFrom('environment')
    .select(['environment', 'record'])
    .where('app', '=', app)
    .orderBy('environment')
    .execute()
  const history = new HistoryStore(db)
  for (const { environment, record: text } of rows) {
    const record = await needingRecord(db, text)
    for (const { release, need } of neededReleasesOf(record)) {
      add(release.version, environment, need)
    }
    const back = await history.releaseBefore({ app, environment }, record.committed?.tree ?? null)
    if (back !== null) add(back.version, environment, 'way-back')
  }
  return needs
}

/** @throws LockstepError `unknown-version` when `after` names a release that was removed meanwhile. */
export async function refuseRemoved(
  trx: Transaction<Tables>,
  app: string,
  before: NeedingRecord,
  after: NeedingRecord,
): Promise<void> {
  const known = new Set(neededReleasesOf(before).map(({ release }) => release.version))
  const named = neededReleasesOf(after).map(({ release }) => release.version)
  const added = [...new Set(named)].filter((version) => !known.has(version))
  if (added.length === 0) return
  const removed = await trx
    .selectFrom('release')
    .select('version')
    .where('app', '=', app)
    .where('version', 'in', added)
    .where('removed_at', 'is not', null)
    .executeTakeFirst()
  if (removed === undefined) return
  throw new LockstepError('unknown-version', `${app} ${removed.version} was just removed`, {
    hint: 'Publish the same tarball again to bring it back.',
  })
}

async function needingRecord(db: Kysely<Tables>, text: string): Promise<NeedingRecord> {
  const stored: Omit<NeedingRecord, 'rollout'> & { rollout: string | null } = JSON.parse(text)
  if (stored.rollout === null) return { ...stored, rollout: null }
  const row = await db
    .selectFrom('rollout')
    .select('rollout')
    .where('id', '=', stored.rollout)
    .executeTakeFirstOrThrow()
  const rollout: NonNullable<NeedingRecord['rollout']> = JSON.parse(row.rollout)
  return { ...stored, rollout }
}
