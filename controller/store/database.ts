// Opens the SQLite database: one connection, write-ahead log, every commit synced to the disk.

import SQLite from 'better-sqlite3'
import { Kysely, SqliteDialect } from 'kysely'
import { Migrator } from 'kysely/migration'
import { migrations } from './migrations.ts'
import type { Tables } from './schema.ts'

export type Database = Kysely<Tables>

/**
 * Opens and migrates the database at `path`.
 *
 * `synchronous=FULL` because the default of the write-ahead log, NORMAL, may lose a commit at a
 * power cut (SQLite, "PRAGMA synchronous"): a decision that agents were already told.
 * @throws Error of SQLite when the file is no database or cannot be written
 */
export async function openDatabase(path: string): Promise<Database> {
  const sqlite = new SQLite(path)
  sqlite.pragma('journal_mode = WAL')
  sqlite.pragma('synchronous = FULL')
  sqlite.pragma('foreign_keys = ON')
  sqlite.pragma('busy_timeout = 5000')
  const db = new Kysely<Tables>({
    dialect: new SqliteDialect({ database: withStatementCache(sqlite) }),
  })
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } })
  const { error } = await migrator.migrateToLatest()
  if (error !== undefined) {
    await db.destroy()
    throw error instanceof Error
      ? error
      : new Error('the database cannot be migrated', { cause: error })
  }
  return db
}

/** Preparing costs more than running: each text is prepared once (never for streaming reads). */
function withStatementCache(sqlite: SQLite.Database) {
  const prepared = new Map<string, SQLite.Statement>()
  return {
    prepare(sql: string): SQLite.Statement {
      const known = prepared.get(sql)
      if (known !== undefined) return known
      const statement = sqlite.prepare(sql)
      prepared.set(sql, statement)
      return statement
    },
    close: () => sqlite.close(),
  }
}
