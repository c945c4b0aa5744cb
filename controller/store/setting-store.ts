// The few values that belong to this controller as a whole: its id and its secrets.

import { randomBytes } from 'node:crypto'
import type { Database } from './database.ts'

export class SettingStore {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  /** This controller's id, drawn at its first start. */
  controllerId(): Promise<string> {
    return this.#kept('controller-id', () => randomBytes(16).toString('base64url'))
  }

  /** Signs the content tokens that agents are given; drawn at the first start. */
  async contentSecret(): Promise<Buffer> {
    const text = await this.#kept('content-secret', () => randomBytes(32).toString('base64url'))
    return Buffer.from(text, 'base64url')
  }

  /** Writes a time, so that the watchdog knows that writing still works. */
  async touch(at: number): Promise<void> {
    await this.#db
      .insertInto('setting')
      .values({ name: 'touched-at', value: String(at) })
      .onConflict((conflict) => conflict.column('name').doUpdateSet({ value: String(at) }))
      .execute()
  }

  async #kept(name: string, draw: () => string): Promise<string> {
    await this.#db
      .insertInto('setting')
      .values({ name, value: draw() })
      .onConflict((conflict) => conflict.column('name').doNothing())
      .execute()
    const row = await this.#db
      .selectFrom('setting')
      .select('value')
      .where('name', '=', name)
      .executeTakeFirstOrThrow()
    return row.value
  }
}
