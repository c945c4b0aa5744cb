// Published releases: a version is written once and never changed. One that was removed keeps its
// row, so that its version never comes to mean another tree.

import type { Requires } from '#shared/descriptor.ts'
import { LockstepError } from '#shared/errors.ts'
import { sha256Hex } from '#shared/ids.ts'
import type { Release } from '#shared/release.ts'
import { carry } from '../publishing/carried-statement.ts'
import type { AuditRecord, DatedAuthor } from '../access/audit.ts'
import { appendAudit } from './audit-store.ts'
import type { Database } from './database.ts'
import type { ReleaseRow } from './schema.ts'

export interface PublishedRelease {
  readonly app: string
  readonly version: string
  /** Order of publishing. */
  readonly number: number
  readonly tree: string
  readonly artifact: string
  readonly artifactBytes: number
  readonly treeBytes: number
  readonly entries: number
  readonly publishedAt: number
  readonly publishedBy: string
  /** The envelope of the signed statement, verbatim, and its sequence; null while it has none. */
  readonly statement: string | null
  readonly sequence: number | null
  /** What its descriptor requires of hosts; null without one. */
  readonly requires: Requires | null
}

export type PublishOutcome =
  | { readonly outcome: 'published' | 'already-published'; readonly release: PublishedRelease }
  | { readonly outcome: 'version-exists'; readonly release: PublishedRelease }

export interface SignOutcome {
  readonly outcome: 'first' | 'replaced' | 'unchanged'
  readonly release: PublishedRelease
}

export class ReleaseStore {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  /**
   * Records the release unless the version is taken; the same tree again changes nothing, or brings
   * a removed release back as the newest.
   */
  async publish(
    release: Omit<PublishedRelease, 'number'>,
    why: string | null = null,
  ): Promise<PublishOutcome> {
    return this.#db.transaction().execute(async (trx) => {
      const taken = await trx
        .selectFrom('release')
        .selectAll()
        .where('app', '=', release.app)
        .where('version', '=', release.version)
        .executeTakeFirst()
      if (taken !== undefined && (taken.removed_at === null || taken.tree !== release.tree)) {
        const outcome = taken.tree === release.tree ? 'already-published' : 'version-exists'
        return { outcome, release: fromRow(taken) }
      }
      const last = await trx
        .selectFrom('release')
        .select((e) => e.fn.max('number').as('number'))
        .executeTakeFirst()
      const published = { ...release, number: (last?.number ?? 0) + 1 }
      await trx
        .insertInto('release')
        .values(toRow(published))
        .onConflict((conflict) =>
          conflict.columns(['app', 'version']).doUpdateSet(toRow(published)),
        )
        .execute()
      await appendAudit(trx, publication(published, why))
      return { outcome: 'published', release: published }
    })
  }

  /** @throws LockstepError `unknown-app` or `unknown-version`. */
  async get(app: string, version: string): Promise<PublishedRelease> {
    const row = await this.#db
      .selectFrom('release')
      .selectAll()
      .where('app', '=', app)
      .where('version', '=', version)
      .executeTakeFirst()
    if (row?.removed_at === null) return fromRow(row)
    if (row !== undefined) throw removed(row)
    const any = await this.#db
      .selectFrom('release')
      .select('app')
      .where('app', '=', app)
      .limit(1)
      .executeTakeFirst()
    if (any === undefined) throw unknownApp(app)
    throw new LockstepError('unknown-version', `${app} has no release ${version}`, {
      hint: `\`lockstep releases ${app}\` lists those that there are.`,
    })
  }

  /**
   * Keeps the envelope of a signed statement with the release that it is of.
   * @param content the envelope, as `carry` takes it
   * @throws LockstepError `unknown-app`, `unknown-version`, `bad-envelope`, `other-release`,
   *   `statement-exists`.
   */
  async sign(
    app: string,
    version: string,
    content: Uint8Array,
    { by, at, why }: DatedAuthor,
  ): Promise<SignOutcome> {
    return this.#db.transaction().execute(async (trx) => {
      const release = await new ReleaseStore(trx).get(app, version)
      const carried = carry(release, content)
      if (carried.outcome === 'unchanged') return { outcome: 'unchanged', release }
      const { text: statement, sequence } = carried
      await trx
        .updateTable('release')
        .set({ statement, sequence })
        .where('app', '=', app)
        .where('version', '=', version)
        .execute()
      const outcome = release.statement === null ? 'first' : 'replaced'
      const deed = { who: by, what: 'sign-release', app, outcome: 'done' as const }
      const details = { version, tree: release.tree, sequence, statement: sha256Hex(statement) }
      await appendAudit(trx, { at, ...deed, why, details })
      return { outcome, release: { ...release, statement, sequence } }
    })
  }

  /** As the machines name it. @throws LockstepError `unknown-app` or `unknown-version`. */
  async reference(app: string, version: string): Promise<Release> {
    const { tree } = await this.get(app, version)
    return { version, tree }
  }

  /** Newest first, below `before` when given. */
  async list(
    app: string,
    limit: number,
    before: number | null,
  ): Promise<readonly PublishedRelease[]> {
    const rows = await this.#db
      .selectFrom('release')
      .selectAll()
      .where('app', '=', app)
      .where('removed_at', 'is', null)
      .where('number', '<', before ?? Number.MAX_SAFE_INTEGER)
      .orderBy('number', 'desc')
      .limit(limit)
      .execute()
    return rows.map(fromRow)
  }

  /** Every app that has releases, with how many releases it has. */
  async apps(): Promise<readonly { app: string; releases: number }[]> {
    const rows = await this.#db
      .selectFrom('release')
      .select((e) => ['app', e.fn.countAll().as('releases')])
      .where('removed_at', 'is', null)
      .groupBy('app')
      .orderBy('app')
      .execute()
    return rows.map(({ app, releases }) => ({ app, releases: Number(releases) }))
  }
}

function publication(release: PublishedRelease, why: string | null): AuditRecord {
  const { app, version, tree, artifact, publishedAt: at, publishedBy: who } = release
  const details = { version, tree, artifact }
  return { at, who, what: 'publish', app, why, outcome: 'done', details }
}

function removed(row: ReleaseRow): LockstepError {
  const at = new Date(row.removed_at ?? 0).toISOString().slice(0, 16).replace('T', ' ')
  return new LockstepError(
    'unknown-version',
    `${row.app} ${row.version} was removed at ${at} UTC by ${row.removed_by}`,
    { hint: 'Publish the same tarball again to bring it back.' },
  )
}

function unknownApp(app: string): LockstepError {
  return new LockstepError('unknown-app', `no release of ${app} was ever published`, {
    hint: `Publish one first: \`lockstep publish ${app} VERSION TARBALL\`.`,
  })
}

export function fromRow(row: ReleaseRow): PublishedRelease {
  return {
    app: row.app,
    version: row.version,
    number: row.number,
    tree: row.tree,
    artifact: row.artifact,
    artifactBytes: row.artifact_bytes,
    treeBytes: row.tree_bytes,
    entries: row.entries,
    publishedAt: row.published_at,
    publishedBy: row.published_by,
    statement: row.statement,
    sequence: row.sequence,
    requires: row.requires === null ? null : JSON.parse(row.requires),
  }
}

function toRow(release: PublishedRelease): ReleaseRow {
  return {
    app: release.app,
    version: release.version,
    number: release.number,
    tree: release.tree,
    artifact: release.artifact,
    artifact_bytes: release.artifactBytes,
    tree_bytes: release.treeBytes,
    entries: release.entries,
    published_at: release.publishedAt,
    published_by: release.publishedBy,
    statement: release.statement,
    sequence: release.sequence,
    requires: release.requires === null ? null : JSON.stringify(release.requires),
    removed_at: null,
    removed_by: null,
  }
}
