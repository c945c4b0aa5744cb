// Tokens, hosts and settings in a real database: secrets are never stored, a join token is used up
// exactly, and a failing disk locks nobody out.

import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import t from 'tap'
import { openDatabase } from '#controller/store/database.ts'
import { type EnrolledHost, HostStore } from '#controller/store/host-store.ts'
import { SettingStore } from '#controller/store/setting-store.ts'
import { type NewToken, parseJoinToken, TokenStore } from '#controller/store/token-store.ts'
import { shop } from '../support/fleet-facts.ts'
import { openTestDatabase } from '../support/test-database.ts'

const operator = { by: 'operator', why: null, at: 10 }
const staging = { app: 'shop', environment: 'staging' }

function joinToken(changes: Partial<NewToken> = {}): NewToken {
  return {
    kind: 'join',
    grants: [],
    owner: null,
    apps: [shop],
    createdAt: 0,
    expiresAt: 1000,
    usesMax: 1,
    by: 'operator',
    why: null,
    ...changes,
  }
}

const apiToken = joinToken({
  kind: 'api',
  grants: [{ role: 'admin', app: '*', environment: '*' }],
  apps: [],
  usesMax: null,
})

function hostOf(at: number, changes: Partial<EnrolledHost> = {}): EnrolledHost {
  return {
    id: String(at).padStart(26, 'h'),
    name: `web-${at}`,
    publicKey: String(at).padStart(43, 'k'),
    enrolledAt: 10.5,
    apps: [shop],
    ...changes,
  }
}

void t.test('what is stored of a token does not open anything', async (t) => {
  const { db, path } = await openTestDatabase(t)
  const tokens = new TokenStore(db)
  const { text, token } = await tokens.create(apiToken)
  t.match(text, /^lsk1\.\w[\w-]{10}\.[\w-]{43}$/)
  t.match((await tokens.create(joinToken())).text, /^lsj1\./)
  const secret = text.split('.')[2] ?? ''
  await sql`PRAGMA wal_checkpoint(TRUNCATE)`.execute(db)
  t.notOk(readFileSync(path, 'latin1').includes(secret), 'the secret is not in the file')
  t.notOk(JSON.stringify(await tokens.list()).includes(secret))
  t.equal((await tokens.authenticate(text, 5)).id, token.id)
})

void t.test('only the very text of a living API token is let in', async (t) => {
  const { db } = await openTestDatabase(t)
  const tokens = new TokenStore(db)
  const { text, token } = await tokens.create(apiToken)
  const other = await tokens.create(apiToken)
  const [prefix, id, secret] = text.split('.')
  const bad = [
    '',
    'x',
    text.slice(0, -1),
    `${text}A`,
    `lsj1.${id}.${secret}`,
    `${prefix}.${id}.${other.text.split('.')[2]}`,
    `${prefix}.${'a'.repeat(11)}.${secret}`,
    (await tokens.create(joinToken())).text,
    'lsk1.constructor.__proto__',
  ]
  for (const guess of bad) await t.rejects(tokens.authenticate(guess, 5), { code: 'unauthorised' })
  await t.resolves(tokens.authenticate(text, 999.9))
  await t.rejects(tokens.authenticate(text, 1000), { code: 'unauthorised' }, 'expired')
  await tokens.revoke(token.id, operator)
  await t.rejects(tokens.authenticate(text, 5), { code: 'unauthorised' }, 'revoked')
  await t.resolves(tokens.authenticate(other.text, 5))
  await t.rejects(tokens.revoke(token.id, operator), { code: 'not-found' })
})

void t.test(
  'that a token was used is noted to the minute, and a full disk does not lock out',
  async (t) => {
    const { db } = await openTestDatabase(t)
    const tokens = new TokenStore(db)
    const { text, token } = await tokens.create({ ...apiToken, expiresAt: 1e9 })
    const lastUse = async () => (await tokens.list()).find((one) => one.id === token.id)?.lastUsedAt
    await tokens.authenticate(text, 100.5)
    t.equal(await lastUse(), 100.5)
    await tokens.authenticate(text, 60_100)
    t.equal(await lastUse(), 100.5)
    await tokens.authenticate(text, 60_100.5)
    t.equal(await lastUse(), 60_100.5)
    await sql`CREATE TRIGGER full BEFORE UPDATE ON token
    BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END`.execute(db)
    t.equal((await tokens.authenticate(text, 1e6)).id, token.id)
    t.equal(await lastUse(), 60_100.5)
  },
)

void t.test(
  'a token is made known before it is stored, so that none is ever stored unknown',
  async (t) => {
    const { db } = await openTestDatabase(t)
    const tokens = new TokenStore(db)
    const told: string[] = []
    const keep = async (text: string) => {
      told.push(text)
      t.same(await tokens.list(), [])
    }
    const { text } = await tokens.create(apiToken, keep)
    t.same(told, [text])
    const failing = () => Promise.reject(new Error('no disk'))
    await t.rejects(tokens.create(apiToken, failing), { message: 'no disk' })
    t.equal((await tokens.list()).length, 1)
  },
)

for (const uses of [1, 7]) {
  void t.test(`of a hundred enrolments at once, a token of ${uses} lets ${uses} in`, async (t) => {
    const { db } = await openTestDatabase(t)
    const hosts = new HostStore(db)
    const tokens = new TokenStore(db)
    const { text } = await tokens.create(joinToken({ usesMax: uses }))
    const outcomes = await Promise.allSettled(
      Array.from({ length: 100 }, (_, at) => hosts.enrol(hostOf(at), parseJoinToken(text))),
    )
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected')
    t.equal(outcomes.length - refused.length, uses)
    for (const { reason } of refused) t.match(reason, { code: 'bad-join-token' })
    t.equal((await hosts.list()).length, uses)
    t.equal((await tokens.list())[0]?.used, uses)
  })
}

void t.test('a join token is good for its apps, in its time, and for nothing else', async (t) => {
  const { db } = await openTestDatabase(t)
  const hosts = new HostStore(db)
  const tokens = new TokenStore(db)
  const { text, token } = await tokens.create(joinToken({ usesMax: 5 }))
  const parsed = parseJoinToken(text)
  const late = hostOf(1, { enrolledAt: 1000 })
  await t.rejects(hosts.enrol(late, parsed), { code: 'bad-join-token' })
  const wider = hostOf(1, { apps: [shop, staging] })
  await t.rejects(hosts.enrol(wider, parsed), { code: 'join-not-allowed', message: /staging/ })
  const forged = { ...parsed, secretHash: 'f'.repeat(64) }
  await t.rejects(hosts.enrol(hostOf(1), forged), { code: 'bad-join-token' })
  const api = await tokens.create(apiToken)
  const apiParsed = { id: api.token.id, secretHash: parsed.secretHash }
  await t.rejects(hosts.enrol(hostOf(1), apiParsed), { code: 'bad-join-token' })
  t.throws(() => parseJoinToken(api.text), { code: 'bad-join-token' })
  t.throws(() => parseJoinToken('nonsense'), { code: 'bad-join-token' })
  t.same(await hosts.list(), [], 'nobody got in')
  t.equal((await tokens.list()).find((one) => one.id === token.id)?.used, 0, 'nothing was used')
  await tokens.revoke(token.id, operator)
  await t.rejects(hosts.enrol(hostOf(1), parsed), { code: 'bad-join-token' })
})

void t.test(
  'an answer that was lost is given again without a use, to that key alone',
  async (t) => {
    const { db } = await openTestDatabase(t)
    const hosts = new HostStore(db)
    const tokens = new TokenStore(db)
    const parsed = parseJoinToken((await tokens.create(joinToken())).text)
    const first = await hosts.enrol(hostOf(1), parsed)
    t.same(await hosts.enrol(hostOf(1, { enrolledAt: 77 }), parsed), first)
    t.equal((await tokens.list())[0]?.used, 1)
    await t.rejects(hosts.enrol(hostOf(2), parsed), { code: 'bad-join-token' })
    const taken = parseJoinToken((await tokens.create(joinToken())).text)
    await t.rejects(hosts.enrol(hostOf(2, { name: 'web-1' }), taken), { code: 'name-taken' })
    t.equal(
      (await tokens.list()).filter((one) => one.used === 1).length,
      1,
      'a refusal uses nothing',
    )
    t.same((await hosts.enrol(hostOf(2), taken)).name, 'web-2')
  },
)

void t.test('the same key may join further apps, move and be renamed', async (t) => {
  const { db } = await openTestDatabase(t)
  const hosts = new HostStore(db)
  const tokens = new TokenStore(db)
  const blog = { app: 'blog', environment: 'production' }
  const enrol = async (host: EnrolledHost) => {
    const { text } = await tokens.create(joinToken({ apps: host.apps }))
    return hosts.enrol(host, parseJoinToken(text))
  }
  await enrol(hostOf(1))
  t.same((await enrol(hostOf(1, { apps: [blog] }))).apps, [blog, shop])
  t.same((await enrol(hostOf(1, { apps: [staging], name: 'web-9' }))).apps, [blog, staging])
  t.match(await hosts.list(), [{ name: 'web-9', apps: [blog, staging] }])
  await hosts.remove(hostOf(1).id, operator)
  t.equal(await hosts.get(hostOf(1).id), null)
  t.same((await enrol(hostOf(1))).apps, [shop], 'what it served before is forgotten')
})

void t.test('the controller keeps its id and its secret over restarts, and alone', async (t) => {
  const database = await openTestDatabase(t)
  const settings = new SettingStore(database.db)
  const [id, again] = await Promise.all([settings.controllerId(), settings.controllerId()])
  t.equal(id, again)
  const secret = await settings.contentSecret()
  t.equal(secret.length, 32)
  const reopened = new SettingStore(await database.reopen())
  t.equal(await reopened.controllerId(), id)
  t.same(await reopened.contentSecret(), secret)
  const other = new SettingStore((await openTestDatabase(t)).db)
  t.not(await other.controllerId(), id)
})

void t.test('the database is its owner\u2019s alone to read', async (t) => {
  const { path, db } = await openTestDatabase(t)
  await new SettingStore(db).touch(1)
  for (const file of [path, `${path}-wal`, `${path}-shm`]) {
    t.equal((statSync(file).mode & 0o777).toString(8), '600', file)
  }
})

void t.test('a file that is no database is named, with what to do', async (t) => {
  const path = join(t.testdir({ 'lockstep.sqlite': 'no database at all, but long enough' }), 'x')
  const bad = path.replace(/x$/, 'lockstep.sqlite')
  await t.rejects(openDatabase(bad), {
    code: 'bad-database',
    message: /lockstep\.sqlite/,
    hint: /./,
  })
  const missing = join(path, 'none', 'lockstep.sqlite')
  await t.rejects(openDatabase(missing), { code: 'disk-error', message: /none/ })
})

void t.test('a database of a newer controller is not opened', async (t) => {
  const database = await openTestDatabase(t)
  await sql`INSERT INTO kysely_migration (name, timestamp) VALUES ('999-later', '')`.execute(
    database.db,
  )
  await database.db.destroy()
  await t.rejects(openDatabase(database.path), { code: 'bad-database', message: /999-later/ })
})
