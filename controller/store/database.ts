// Opens the SQLite database: one connection, write-ahead log, every commit synced to the disk.

import { closeSync, constants, fchmodSync, openSync } from 'node:fs'
import SQLite from 'better-sqlite3'
import { Kysely, SqliteDialect } from 'kysely'
import { Migrator } from 'kysely/migration'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { migrations } from './migrations.ts'
import type { Tables } from './schema.ts'

export type Database = Kysely<Tables>

/**
 * Opens and migrates the database at `path`; it is made where there is none.
 *
 * `synchronous=FULL` because the default of the write-ahead log, NORMAL, may lose a commit at a
 * power cut (SQLite, "PRAGMA synchronous"): a decision that agents were already told.
 * @throws LockstepError `bad-database`, `disk-error`.
 */
export async function openDatabase(path: string): Promise<Database> {
  const sqlite = openFile(path)
  const db = new Kysely<Tables>({
    dialect: new SqliteDialect({ database: withStatementCache(sqlite) }),
  })
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } })
  const { error } = await migrator.migrateToLatest()
  if (error === undefined) return db
  await db.destroy()
  throw unusable(path, error)
}

/** Whether SQLite refused something: a full or failing disk, or another writer. */
export function isDatabaseTrouble(error: unknown): boolean {
  return systemCodeOf(error)?.startsWith('SQLITE_') === true
}

function openFile(path: string): SQLite.Database {
  try {
    makePrivate(path)
    const sqlite = new SQLite(path)
    try {
      // Another process's lock is waited for in this thread, so never for long.
      sqlite.pragma('busy_timeout = 1000')
      sqlite.pragma('journal_mode = WAL')
      sqlite.pragma('synchronous = FULL')
      sqlite.pragma('foreign_keys = ON')
    } catch (error) {
      sqlite.close()
      throw error
    }
    return sqlite
  } catch (error) {
    throw unusable(path, error)
  }
}

/** It holds secrets; the files that SQLite lays beside it get the same mode. */
function makePrivate(path: string): void {
  const descriptor = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600)
  try {
    fchmodSync(descriptor, 0o600)
  } finally {
    closeSync(descriptor)
  }
}

function unusable(path: string, error: unknown): Error {
  const code = systemCodeOf(error)
  const why = error instanceof Error ? error.message : String(error)
  if (code !== undefined && !code.startsWith('SQLITE_')) {
    return new LockstepError('disk-error', `the database ${path} cannot be opened: ${why}`, {
      hint: 'Give the controller\u2019s user the right to write there.',
      cause: error,
    })
  }
  return new LockstepError('bad-database', `the database ${path} cannot be used: ${why}`, {
    hint: 'Free the disk if it is full; start the newest controller that wrote it, or restore it.',
    cause: error,
  })
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
