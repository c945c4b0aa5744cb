// Requests that wait for another person: what was asked, by whom, and what became of it. Each change is
// recorded as a fact and in the audit trail with it, in one transaction.

import { randomUUID } from 'node:crypto'
import type { ApprovalView, Policy } from '#shared/api/requests.ts'
import { canonicalJson } from '#shared/canonical-json.ts'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import type { Release } from '#shared/release.ts'
import type { Transaction } from 'kysely'
import type { DatedAuthor } from '../access/audit.ts'
import { appendAudit } from './audit-store.ts'
import type { Database } from './database.ts'
import type { HostApp } from './host-store.ts'
import type { ApprovalRow, Tables } from './schema.ts'

export interface Approval extends Omit<ApprovalView, 'policy' | 'state'> {
  readonly policy: Policy
  readonly state: ApprovalRow['state']
  readonly requestKey: string | null
}

export interface NewApproval {
  readonly place: HostApp
  readonly what: Approval['what']
  readonly release: Release
  readonly policy: Policy
  readonly owner: string | null
  readonly requestKey: string | null
}

/** What can become of one that waits; `approving` while its rollout is being started. */
export type Verdict = 'approved' | 'withdrawn' | 'declined' | 'void'

type StoredApproval = Omit<ApprovalRow, 'number'>

const factOf = {
  approved: 'approval-given',
  withdrawn: 'approval-withdrawn',
  declined: 'approval-declined',
  void: 'approval-void',
} as const

export class ApprovalStore {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  /**
   * Records what is asked. The same that waits already, or came with this key, is returned instead.
   * @throws LockstepError `key-reused`; `busy` where too many wait
   */
  async ask(asked: NewApproval, { by, at, why }: DatedAuthor): Promise<Approval> {
    const { place, what, release, policy, owner, requestKey } = asked
    const text = canonicalJson(policy)
    return this.#db.transaction().execute(async (trx) => {
      const rows = await of(trx, place)
        .where((e) =>
          e.or([
            e.and([e('state', '=', 'waiting'), e('expires_at', '>', at)]),
            e('request_key', '=', requestKey),
          ]),
        )
        .orderBy('number', 'desc')
        .execute()
      const isSame = (row: StoredApproval) => row.tree === release.tree && row.policy === text
      const keyed = rows.find((row) => requestKey !== null && row.request_key === requestKey)
      if (keyed !== undefined && !isSame(keyed)) throw reused()
      const known = keyed ?? rows.find((row) => isSame(row) && row.requested_by === by)
      if (known !== undefined) return fromRow(known)
      if (rows.length >= limits.approvalsWaitingMax) throw tooMany(rows.length)
      const row = {
        id: randomUUID(),
        ...place,
        what,
        version: release.version,
        tree: release.tree,
        policy: text,
        requested_by: by,
        owner,
        why,
        request_key: requestKey,
        requested_at: at,
        expires_at: at + limits.approvalMs,
        state: 'waiting' as const,
        decided_by: null,
        decided_at: null,
        rollout: null,
      }
      await trx.insertInto('approval').values(row).execute()
      const words = `${owner ?? by} asks to ${what} ${release.version}: another person has to approve it`
      await record(trx, fromRow(row), {
        fact: { type: 'approval-asked', text: words },
        author: { by, at, why },
        deed: 'ask-approval',
      })
      return fromRow(row)
    })
  }

  /** Null for one that there is not in this place. */
  async get(place: HostApp, id: string): Promise<Approval | null> {
    const row = await of(this.#db, place).where('id', '=', id).executeTakeFirst()
    return row === undefined ? null : fromRow(row)
  }

  /** Newest first: those that wait, and the last that were decided. */
  async list(place: HostApp): Promise<readonly Approval[]> {
    const rows = await of(this.#db, place)
      .orderBy('number', 'desc')
      .limit(limits.approvalsShown)
      .execute()
    return rows.map(fromRow)
  }

  /** Takes hold of one that waits, or was held when a controller ended. @returns whether it was */
  async hold(id: string, at: number): Promise<boolean> {
    const { numUpdatedRows } = await this.#db
      .updateTable('approval')
      .set({ state: 'approving' })
      .where('id', '=', id)
      .where('state', 'in', ['waiting', 'approving'])
      .where('expires_at', '>', at)
      .executeTakeFirst()
    return numUpdatedRows === 1n
  }

  /** What held it could not be done: it waits again. */
  async release(id: string): Promise<void> {
    await this.#db
      .updateTable('approval')
      .set({ state: 'waiting' })
      .where('id', '=', id)
      .where('state', '=', 'approving')
      .execute()
  }

  /** @returns false for one that is not waiting, or held, any more */
  async decide(
    approval: Approval,
    verdict: Verdict,
    author: DatedAuthor,
    rollout: string | null = null,
  ): Promise<boolean> {
    const { by, at, why } = author
    return this.#db.transaction().execute(async (trx) => {
      const { numUpdatedRows } = await trx
        .updateTable('approval')
        .set({ state: verdict, decided_by: by, decided_at: at, rollout })
        .where('id', '=', approval.id)
        .where('state', '=', verdict === 'approved' ? 'approving' : 'waiting')
        .executeTakeFirst()
      if (numUpdatedRows !== 1n) return false
      const { what, release, requestedBy } = approval
      const because = why === null ? '' : `: ${why}`
      const words = `${by} ${said[verdict]} the request of ${requestedBy} to ${what} ${release.version}`
      await record(
        trx,
        { ...approval, rollout },
        {
          fact: { type: factOf[verdict], text: `${words}${because}` },
          author,
          deed: deeds[verdict],
        },
      )
      return true
    })
  }
}

const said = { approved: 'approves', withdrawn: 'withdraws', declined: 'declines', void: 'voids' }
const deeds = {
  approved: 'approve',
  withdrawn: 'withdraw-approval',
  declined: 'decline-approval',
  void: 'void-approval',
} as const

function of(db: Database | Transaction<Tables>, { app, environment }: HostApp) {
  return db
    .selectFrom('approval')
    .selectAll()
    .where('app', '=', app)
    .where('environment', '=', environment)
}

async function record(
  trx: Transaction<Tables>,
  { id, app, environment, release, policy, requestedBy, rollout }: Approval,
  told: { fact: { type: string; text: string }; author: DatedAuthor; deed: string },
): Promise<void> {
  const { by, at, why } = told.author
  await trx
    .insertInto('fact')
    .values({ app, environment, at, ...told.fact, rollout, host: null })
    .execute()
  const details = {
    approval: id,
    version: release.version,
    tree: release.tree,
    policy: canonicalJson(policy),
    requestedBy,
    rollout,
  }
  const outcome = 'done'
  await appendAudit(trx, { at, who: by, what: told.deed, app, environment, why, outcome, details })
}

function reused(): LockstepError {
  return new LockstepError('key-reused', 'this Idempotency-Key was used for another request', {
    hint: 'Use a new key for a new request.',
  })
}

function tooMany(waiting: number): LockstepError {
  return new LockstepError('busy', `${waiting} requests wait for an approval already`, {
    hint: 'Approve or withdraw some: `lockstep approvals APP --env ENV`.',
  })
}

function fromRow(row: StoredApproval): Approval {
  return {
    id: row.id,
    app: row.app,
    environment: row.environment,
    what: row.what,
    release: { version: row.version, tree: row.tree },
    policy: JSON.parse(row.policy),
    requestedBy: row.requested_by,
    owner: row.owner,
    why: row.why,
    requestedAt: row.requested_at,
    expiresAt: row.expires_at,
    state: row.state,
    decidedBy: row.decided_by,
    decidedAt: row.decided_at,
    rollout: row.rollout,
    requestKey: row.request_key,
  }
}
