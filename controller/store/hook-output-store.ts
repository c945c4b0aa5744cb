// The output of hooks, by rollout: bounded for each, and kept for the newest rollouts only. It is for
// people; nothing is ever decided by it.

import type { HookOutputView } from '#shared/api/output-schemas.ts'
import { limits } from '#shared/limits.ts'
import { withoutSecretText } from '#shared/secret-text.ts'
import type { LogMessage } from '#shared/wire/messages.ts'
import type { Database } from './database.ts'
import type { HookOutputRow } from './schema.ts'

/** What a row takes beside its text: a host that says nothing often must not fill the disk. */
const rowBytes = 64

export class HookOutputStore {
  readonly #db: Database
  /** How much is stored of the rollouts that said something last. */
  readonly #bytes = new Map<string, number>()

  constructor(db: Database) {
    this.#db = db
  }

  /** @returns the rollout that it belongs to; null when nothing was stored */
  async add(host: string, message: LogMessage, at: number): Promise<string | null> {
    const rollout = await this.#rolloutOf(message)
    if (rollout === null) return null
    const bytes = await this.#bytesOf(rollout, message)
    if (bytes > limits.rolloutOutputBytesMax) return null
    const { app, environment, hook, stream } = message
    const after = bytes + rowBytes + Buffer.byteLength(message.text)
    const isFull = after > limits.rolloutOutputBytesMax
    this.#bytes.set(rollout, after)
    const most = limits.rolloutOutputBytesMax / 1024
    const text = isFull
      ? `(more than ${most} KiB: the rest is left out)`
      : withoutSecretText(message.text)
    const truncated = isFull || message.truncated ? 1 : 0
    await this.#db
      .insertInto('hook_output')
      .values({ app, environment, rollout, host, at, hook, stream, text, truncated })
      .execute()
    return rollout
  }

  /** Oldest first, after the id `after`. */
  async list(rollout: string, after: number, limit: number): Promise<HookOutputView[]> {
    const rows = await this.#db
      .selectFrom('hook_output')
      .leftJoin('host', 'host.id', 'hook_output.host')
      .selectAll('hook_output')
      .select('host.name')
      .where('hook_output.rollout', '=', rollout)
      .where('hook_output.id', '>', after)
      .orderBy('hook_output.id')
      .limit(limit)
      .execute()
    return rows.map(view)
  }

  /** Of the decision that the hook ran under. */
  async #rolloutOf({ app, environment, fence }: LogMessage): Promise<string | null> {
    const row = await this.#db
      .selectFrom('decision')
      .select('rollout')
      .where('app', '=', app)
      .where('environment', '=', environment)
      .where('term', '=', fence.term)
      .where('epoch', '=', fence.epoch)
      .where('hash', '=', fence.hash)
      .executeTakeFirst()
    return row?.rollout ?? null
  }

  async #bytesOf(rollout: string, message: LogMessage): Promise<number> {
    const known = this.#bytes.get(rollout)
    if (known !== undefined) return known
    const rows = await this.#db
      .selectFrom('hook_output')
      .select('text')
      .where('rollout', '=', rollout)
      .execute()
    const bytes = rows.reduce((sum, { text }) => sum + rowBytes + Buffer.byteLength(text), 0)
    if (rows.length === 0) await this.#forgetOld(message)
    this.#bytes.set(rollout, bytes)
    const [oldest] = this.#bytes.keys()
    if (this.#bytes.size > limits.rolloutOutputsKept && oldest !== undefined) {
      this.#bytes.delete(oldest)
    }
    return bytes
  }

  async #forgetOld({ app, environment }: LogMessage): Promise<void> {
    await this.#db
      .deleteFrom('hook_output')
      .where('app', '=', app)
      .where('environment', '=', environment)
      .where('rollout', 'not in', (query) =>
        query
          .selectFrom('rollout')
          .select('rollout.id')
          .where('rollout.app', '=', app)
          .where('rollout.environment', '=', environment)
          .orderBy('number', 'desc')
          .limit(limits.rolloutOutputsKept),
      )
      .execute()
  }
}

type StoredRow = Omit<HookOutputRow, 'id'> & { id: number; name: string | null }

function view(row: StoredRow): HookOutputView {
  const { id, at, host, name, hook, stream, text, truncated } = row
  return { id, at, host: name ?? host, hook, stream, text, truncated: truncated !== 0 }
}
