// A database of an earlier controller is brought up to date with what it holds.

import { join } from 'node:path'
import SQLite from 'better-sqlite3'
import { Kysely, SqliteDialect } from 'kysely'
import { Migrator } from 'kysely/migration'
import t from 'tap'
import { openDatabase } from '#controller/store/database.ts'
import { HistoryStore } from '#controller/store/history-store.ts'
import { HostStore } from '#controller/store/host-store.ts'
import { migrations } from '#controller/store/migrations.ts'
import { TokenStore } from '#controller/store/token-store.ts'
import { digestOf, shop } from '../support/fleet-facts.ts'

void t.test('what a database of before holds says the same as one of today', async (t) => {
  const path = join(t.testdir({}), 'lockstep.sqlite')
  const old = new Kysely<never>({ dialect: new SqliteDialect({ database: new SQLite(path) }) })
  await new Migrator({
    db: old,
    provider: { getMigrations: async () => migrations },
  }).migrateTo('001-initial')
  await old.destroy()
  const sqlite = new SQLite(path)
  const add = sqlite.prepare(
    `INSERT INTO rollout (id, app, environment, phase, request_key, started_at, rollout)
      VALUES (?, 'shop', 'production', ?, NULL, 1, ?)`,
  )
  const ended = (id: string, letter: string, phase: string, reason: string) => {
    const target = { version: `${letter}.0.0`, tree: digestOf(letter) }
    add.run(id, phase, JSON.stringify({ target, phase, reason, phases: [{ phase, at: 7 }] }))
  }
  ended('r-1', '1', 'committed', 'all-healthy')
  ended('r-2', '2', 'rolled-back', 'cancelled')
  ended('r-3', '3', 'failed', 'verify-deadline')
  sqlite.exec(`INSERT INTO host VALUES ('${'h'.repeat(26)}', 'web-1', 'key', 1)`)
  const token = sqlite.prepare(
    `INSERT INTO token VALUES (?, ?, 'hash', ?, ?, 1, 9e15, NULL, 0, NULL)`,
  )
  token.run('api-token', 'api', 'admin', '[]')
  token.run('joins', 'join', null, JSON.stringify([shop]))
  sqlite.close()

  const db = await openDatabase(path)
  t.teardown(() => db.destroy())
  const history = new HistoryStore(db)
  t.same(await history.failed(shop), [
    {
      release: { version: '3.0.0', tree: digestOf('3') },
      mark: { environment: 'production', rollout: 'r-3', at: 7, reason: 'verify-deadline' },
    },
  ])
  t.ok(await history.wasCommitted(shop, digestOf('1')))
  t.notOk(await history.wasCommitted(shop, digestOf('2')))
  t.match(await history.releaseBefore(shop, null), { version: '1.0.0' })
  t.match(await new HostStore(db).list(), [{ name: 'web-1', labels: {} }])
  const tokens = await new TokenStore(db).list()
  const of = (id: string) => tokens.find((one) => one.id === id)
  const everything = { role: 'admin', app: '*', environment: '*' }
  t.match(of('api-token'), { kind: 'api', grants: [everything], owner: null, apps: [] })
  t.match(of('joins'), { kind: 'join', grants: [], apps: [shop] })
})
