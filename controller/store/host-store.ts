// Enrolled hosts: their names, their public keys and what they serve. A host enrols once; the same
// key may enrol again for further apps.

import { canonicalJson } from '#shared/canonical-json.ts'
import { LockstepError } from '#shared/errors.ts'
import type { Labels } from '#shared/labels.ts'
import { limits } from '#shared/limits.ts'
import type { Transaction } from 'kysely'
import type { Database } from './database.ts'
import { type AuditRecord, controllerItself, type DatedAuthor } from '../access/audit.ts'
import { appendAudit } from './audit-store.ts'
import type { Tables } from './schema.ts'
import { consumeJoinToken } from './token-rows.ts'

export interface HostApp {
  readonly app: string
  readonly environment: string
}

export interface EnrolledHost {
  readonly id: string
  readonly name: string
  /** Raw Ed25519 public key, base64url. */
  readonly publicKey: string
  readonly enrolledAt: number
  readonly apps: readonly HostApp[]
}

export interface LabelledHost extends EnrolledHost {
  /** When two agents were found to use its identity, epoch milliseconds; null while one does. */
  readonly clonedAt: number | null
  /** As its agent said last; empty before it was ever connected. */
  readonly labels: Labels
}

export class HostStore {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  /**
   * Uses the join token once and records the host, both or neither. A host that is enrolled with
   * this key, name and apps already (its answer was lost) is answered again without using it.
   * @throws LockstepError `bad-join-token`, `join-not-allowed`, `name-taken`, `environment-full`.
   */
  async enrol(
    host: EnrolledHost,
    token: { id: string; secretHash: string },
  ): Promise<LabelledHost> {
    const known = await this.get(host.id)
    if (known !== null && isEnrolledAs(known, host)) return known
    return this.#db.transaction().execute(async (trx) => {
      await consumeJoinToken(trx, token, host.apps, host.enrolledAt)
      const sameName = await trx
        .selectFrom('host')
        .select('id')
        .where('name', '=', host.name)
        .executeTakeFirst()
      if (sameName !== undefined && sameName.id !== host.id) {
        throw new LockstepError('name-taken', `another host is enrolled as ${host.name}`, {
          hint: 'Give this host another name, or remove the other: `lockstep hosts remove NAME`.',
        })
      }
      await checkRoom(trx, host)
      await trx
        .insertInto('host')
        .values({
          id: host.id,
          name: host.name,
          public_key: host.publicKey,
          enrolled_at: host.enrolledAt,
        })
        .onConflict((conflict) => conflict.column('id').doUpdateSet({ name: host.name }))
        .execute()
      for (const { app, environment } of host.apps) {
        await trx
          .insertInto('host_app')
          .values({ host: host.id, app, environment })
          .onConflict((conflict) => conflict.columns(['host', 'app']).doUpdateSet({ environment }))
          .execute()
      }
      const apps = await trx
        .selectFrom('host_app')
        .select(['app', 'environment'])
        .where('host', '=', host.id)
        .orderBy('app')
        .execute()
      await appendAudit(trx, enrolment(host, token.id))
      return { ...host, clonedAt: null, labels: known?.labels ?? {}, apps }
    })
  }

  /** Null for a host that is not enrolled or was removed. */
  async get(id: string): Promise<LabelledHost | null> {
    const found = await this.#select(id)
    return found[0] ?? null
  }

  async list(): Promise<readonly LabelledHost[]> {
    return this.#select(null)
  }

  /** Writes only what is new: a fleet that comes back at once says what is known. */
  async label(id: string, labels: Labels): Promise<void> {
    const text = canonicalJson(labels)
    await this.#db
      .updateTable('host')
      .set({ labels: text })
      .where('id', '=', id)
      .where('labels', '!=', text)
      .execute()
  }

  /** Remembers it for as long as the host is enrolled, as a fact of everything that it serves. */
  async markCloned({ id, name, apps }: EnrolledHost, at: number): Promise<void> {
    const text = `two agents use the identity of ${name}: neither is let in until it is removed`
    await this.#db.transaction().execute(async (trx) => {
      const { numUpdatedRows } = await trx
        .updateTable('host')
        .set({ cloned_at: at })
        .where('id', '=', id)
        .where('cloned_at', 'is', null)
        .executeTakeFirst()
      if (numUpdatedRows === 0n) return
      const deed = { who: controllerItself, what: 'mark-cloned', outcome: 'done' as const }
      await appendAudit(trx, { at, ...deed, details: { host: id, name } })
      if (apps.length === 0) return
      const fact = { at, type: 'host-cloned', rollout: null, host: id, text }
      const facts = apps.map(({ app, environment }) => ({ app, environment, ...fact }))
      await trx.insertInto('fact').values(facts).execute()
    })
  }

  async remove(id: string, { by, at, why }: DatedAuthor): Promise<void> {
    await this.#db.transaction().execute(async (trx) => {
      const row = await trx
        .deleteFrom('host')
        .where('id', '=', id)
        .returning('name')
        .executeTakeFirst()
      if (row === undefined) return
      const details = { host: id, name: row.name }
      await appendAudit(trx, { at, who: by, what: 'remove-host', why, outcome: 'done', details })
    })
  }

  async #select(id: string | null): Promise<readonly LabelledHost[]> {
    let hosts = this.#db.selectFrom('host').selectAll().orderBy('name')
    let apps = this.#db.selectFrom('host_app').selectAll().orderBy('app')
    if (id !== null) {
      hosts = hosts.where('id', '=', id)
      apps = apps.where('host', '=', id)
    }
    const rows = await hosts.execute()
    const served = Map.groupBy(await apps.execute(), (row) => row.host)
    return rows.map((row) => ({
      id: row.id,
      name: row.name,
      publicKey: row.public_key,
      enrolledAt: row.enrolled_at,
      clonedAt: row.cloned_at,
      labels: JSON.parse(row.labels),
      apps: (served.get(row.id) ?? []).map(({ app, environment }) => ({ app, environment })),
    }))
  }
}

/** What the trail says of it; places are named in its details where there are several. */
function enrolment({ id, name, apps, enrolledAt }: EnrolledHost, token: string): AuditRecord {
  const [place] = apps
  const places = apps.map(({ app, environment }) => `${app}/${environment}`)
  return {
    at: enrolledAt,
    who: token,
    what: 'enrol',
    ...(apps.length === 1 ? place : {}),
    outcome: 'done',
    details: { host: id, name, ...(apps.length === 1 ? {} : { places }) },
  }
}

/** Every host of an environment is in each of its decisions, and in memory. */
async function checkRoom(trx: Transaction<Tables>, host: EnrolledHost): Promise<void> {
  for (const { app, environment } of host.apps) {
    const { others } = await trx
      .selectFrom('host_app')
      .select((e) => e.fn.countAll<number>().as('others'))
      .where('app', '=', app)
      .where('environment', '=', environment)
      .where('host', '!=', host.id)
      .executeTakeFirstOrThrow()
    if (others < limits.hostsPerEnvironmentMax) continue
    const message = `${app} in ${environment} has ${others} hosts, and no more are taken`
    throw new LockstepError('environment-full', message, {
      hint: 'Remove those that are gone (`lockstep hosts remove NAME`), or split the environment.',
    })
  }
}

function isEnrolledAs(known: EnrolledHost, host: EnrolledHost): boolean {
  const serves = (wanted: HostApp) =>
    known.apps.some((a) => a.app === wanted.app && a.environment === wanted.environment)
  return known.name === host.name && host.apps.every(serves)
}
