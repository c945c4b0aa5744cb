// A real database in a directory of the test's own, closed with the test.

import { join } from 'node:path'
import type { Test } from 'tap'
import { type Database, openDatabase } from '#controller/store/database.ts'

export interface TestDatabase {
  readonly path: string
  readonly db: Database
  /** Closes it and opens the same file again, as a restart does. */
  reopen(): Promise<Database>
}

export async function openTestDatabase(t: Test): Promise<TestDatabase> {
  const path = join(t.testdir({}), 'lockstep.sqlite')
  let db = await openDatabase(path)
  t.teardown(() => db.destroy())
  return {
    path,
    get db() {
      return db
    },
    async reopen() {
      await db.destroy()
      db = await openDatabase(path)
      return db
    },
  }
}
