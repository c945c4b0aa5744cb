// Environments in a real database: what is saved together is there together or not at all, nothing
// is decided twice, and what comes back is what went in.

import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { auditOf } from '#controller/runtime/environment-audit.ts'
import { RevisionConflict, type StoredEnvironment } from '#controller/runtime/environment-store.ts'
import { HistoryStore } from '#controller/store/history-store.ts'
import { SqlEnvironmentStore } from '#controller/store/sql-environment-store.ts'
import type { EnvironmentEvent, Step } from '#shared/environment/events.ts'
import type { EnvironmentState } from '#shared/environment/state.ts'
import { transition } from '#shared/environment/transition.ts'
import { limits } from '#shared/limits.ts'
import { fenceOf, one, reportOf, shop, two } from '../support/fleet-facts.ts'
import { requestOf } from '../support/rollout-requests.ts'
import { openTestDatabase } from '../support/test-database.ts'

const { app, environment } = shop
/** A reader who may see all. */
const everything = [{ app: '*', environment: '*' }]

/** An environment whose every step is saved as the runner does it. */
class Saved {
  readonly store: SqlEnvironmentStore
  state: EnvironmentState
  revision: number

  constructor(store: SqlEnvironmentStore, stored: StoredEnvironment) {
    this.store = store
    this.state = { record: stored.record, sessions: {} }
    this.revision = stored.revision
  }

  async handle(event: EnvironmentEvent): Promise<Step> {
    const step = transition(this.state, event)
    await this.save(step, event.at)
    return step
  }

  async save(step: Step, at: number): Promise<void> {
    this.revision = await this.store.save({
      before: this.state.record,
      after: step.state.record,
      facts: step.facts,
      audit: auditOf(null, null, step),
      revision: this.revision,
      at,
    })
    this.state = step.state
  }

  join(...hosts: string[]): Promise<unknown> {
    return hosts.reduce<Promise<unknown>>(
      (before, host) =>
        before.then(() => this.handle({ type: 'host-joined', at: 1, host, name: `name-${host}` })),
      Promise.resolve(),
    )
  }

  desire(id: string, release = one, at = 10, requestKey: string | null = null): Promise<Step> {
    const request = requestOf(id, release, { requestKey })
    return this.handle({ type: 'release-desired', at, ticket: 1, request })
  }

  /** What a restarted controller would find. */
  async found(): Promise<StoredEnvironment | undefined> {
    return (await this.store.list()).find((stored) => stored.record.app === app)
  }
}

async function openSaved(t: Test) {
  const database = await openTestDatabase(t)
  const store = new SqlEnvironmentStore(database.db)
  return { database, saved: new Saved(store, await store.open(app, environment)) }
}

void t.test('the connection that saves syncs every commit and writes ahead', async (t) => {
  const { db } = await openTestDatabase(t)
  const pragma = async (name: string) => {
    const { rows } = await sql.raw<Record<string, unknown>>(`PRAGMA ${name}`).execute(db)
    return Object.values(rows[0] ?? {})[0]
  }
  t.equal(await pragma('synchronous'), 2)
  t.equal(await pragma('journal_mode'), 'wal')
  t.equal(await pragma('foreign_keys'), 1)
})

void t.test('a whole rollout comes back as it was saved, after every step', async (t) => {
  const { saved } = await openSaved(t)
  const same = async (what: string) => {
    const found = await saved.found()
    t.same(found?.record, saved.state.record, what)
    t.equal(found?.revision, saved.revision)
  }
  await same('empty')
  await saved.join('a', 'b')
  await same('members')
  await saved.desire('r1', one, 10, 'key-1')
  await same('staging')
  const report = async (host: string, seq: number, more: object) => {
    const fence = saved.state.record.decision?.fence ?? null
    const told = reportOf({ seq, fence, ...more })
    const event = { at: 20, host, session: 1, report: told, recorded: true } as const
    await saved.handle({ type: 'host-reported', ...event })
  }
  const ready = { phase: 'ready', ready: { target: one.tree, fallback: null } }
  await report('a', 1, ready)
  await report('b', 1, ready)
  t.equal(saved.state.record.rollout?.phase, 'activating')
  await same('activating')
  const healthy = {
    phase: 'healthy',
    current: one,
    standing: 'run',
    activation: { activatedAt: 20.25, errorMs: 0.5, mode: 'timed' },
    serving: true,
  }
  await report('a', 2, healthy)
  await same('one attested')
  await report('b', 2, healthy)
  t.equal(saved.state.record.rollout?.phase, 'committed')
  await same('committed')
  await saved.handle({ type: 'host-removed', at: 30, host: 'b' })
  await same('one host less')
})

void t.test('being fenced, and by whom, outlives a restart', async (t) => {
  const { database, saved } = await openSaved(t)
  await saved.join('a')
  await saved.desire('r1')
  const report = reportOf({ fence: fenceOf(1, 9) })
  const event = { at: 20, host: 'a', session: 1, report, recorded: false } as const
  await saved.handle({ type: 'host-reported', ...event })
  const [stored] = await new SqlEnvironmentStore(await database.reopen()).list()
  t.same(stored?.record.fencedBy, { a: { fence: fenceOf(1, 9), why: 'higher-fence' } })
})

void t.test('a step that ends one rollout and starts the next keeps both', async (t) => {
  const { database, saved } = await openSaved(t)
  await saved.join('a')
  await saved.desire('r1', one)
  const step = await saved.desire('r2', two, 11)
  t.same(
    step.facts.map((fact) => fact.type),
    ['decided', 'rollout-ended', 'decided', 'rollout-started'],
  )
  const history = new HistoryStore(database.db)
  t.match(await history.rollout('r1'), { phase: 'aborted', reason: 'superseded', target: one })
  t.match(await history.rollout('r2'), { phase: 'staging', target: two })
  t.same(Object.keys((await history.rollout('r1'))?.participants ?? {}), ['a'])
  const listed = await history.rollouts(shop, 10, null)
  t.same(
    listed.map(({ rollout }) => rollout.id),
    ['r2', 'r1'],
  )
  t.same((await saved.found())?.record.rollout, saved.state.record.rollout)
})

void t.test('a save that fails in its middle leaves nothing of itself', async (t) => {
  const { database, saved } = await openSaved(t)
  await saved.join('a')
  const before = await saved.found()
  await sql`CREATE TRIGGER full BEFORE INSERT ON fact WHEN NEW.type = 'rollout-started'
    BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END`.execute(database.db)
  await t.rejects(saved.desire('r1'), { message: 'database or disk is full' })
  t.same(await saved.found(), before)
  const history = new HistoryStore(database.db)
  t.equal(await history.rollout('r1'), null)
  const facts = await history.facts(0, 10, {}, everything)
  t.same(
    facts.map((fact) => fact.type),
    ['host-joined'],
  )
  t.notOk(await saved.store.isRecorded(app, environment, fenceOf(1, 1)))
  await sql`DROP TRIGGER full`.execute(database.db)
  await saved.desire('r1')
  t.match(await history.rollout('r1'), { phase: 'staging' })
})

void t.test(
  'a save over a revision that is not the newest is a conflict and changes nothing',
  async (t) => {
    const { saved } = await openSaved(t)
    const other = new Saved(saved.store, await saved.store.open(app, environment))
    await saved.join('a')
    await t.rejects(other.join('b'), RevisionConflict)
    t.same(Object.keys((await saved.found())?.record.members ?? {}), ['a'])
    t.equal((await saved.found())?.revision, 1)
  },
)

void t.test('of two saves at once over one revision exactly one wins', async (t) => {
  const { saved } = await openSaved(t)
  const stored = await saved.store.open(app, environment)
  const writers = Array.from({ length: 10 }, () => new Saved(saved.store, stored))
  const outcomes = await Promise.allSettled(writers.map((writer, at) => writer.join(`h${at}`)))
  const won = outcomes.filter((outcome) => outcome.status === 'fulfilled')
  const lost = outcomes.filter((outcome) => outcome.status === 'rejected')
  t.equal(won.length, 1)
  for (const { reason } of lost) t.type(reason, RevisionConflict)
  t.equal((await saved.found())?.revision, 1)
})

void t.test('no epoch is ever decided twice, whoever writes it', async (t) => {
  const { database, saved } = await openSaved(t)
  await saved.join('a')
  await saved.desire('r1')
  // A writer that slipped past the revision: the same epoch, another decision.
  await sql`UPDATE environment SET record = json_set(record, '$.decision', null, '$.rollout', null)`.execute(
    database.db,
  )
  const stored = await saved.found()
  t.ok(stored)
  if (stored === undefined) return
  const second = new Saved(saved.store, stored)
  await t.rejects(second.desire('r2', two), { code: 'SQLITE_CONSTRAINT_PRIMARYKEY' })
  t.equal(await new HistoryStore(database.db).rollout('r2'), null)
})

void t.test('a fence is recorded only with its hash, in its own environment', async (t) => {
  const { saved } = await openSaved(t)
  await saved.join('a')
  await saved.desire('r1')
  const fence = saved.state.record.decision?.fence ?? fenceOf(9, 9)
  t.ok(await saved.store.isRecorded(app, environment, fence))
  t.notOk(await saved.store.isRecorded(app, environment, { ...fence, hash: fenceOf(1, 1).hash }))
  t.notOk(await saved.store.isRecorded(app, environment, { ...fence, epoch: 2 }))
  t.notOk(await saved.store.isRecorded(app, 'staging', fence))
  t.notOk(await saved.store.isRecorded('other', environment, fence))
})

void t.test(
  'a request key finds its first rollout for a day, in its own environment',
  async (t) => {
    const { saved } = await openSaved(t)
    await saved.join('a')
    const at = 1_000_000
    await saved.desire('r1', one, at, 'key-1')
    const idOf = async (key: string, since: number, env: string = environment) =>
      (await saved.store.rolloutOfKey(app, env, key, since))?.id ?? null
    t.equal(await idOf('key-1', at - limits.idempotencyMs), 'r1')
    t.equal(await idOf('key-1', at), 'r1')
    t.equal(await idOf('key-1', at + 1), null)
    t.equal(await idOf('key-2', 0), null)
    t.equal(await idOf('key-1', 0, 'staging'), null)
    await saved.desire('r2', two, at + 5, 'key-1')
    t.equal(await idOf('key-1', 0), 'r1', 'the first one stays')
  },
)

void t.test('opening an environment twice, at once too, gives one', async (t) => {
  const { saved } = await openSaved(t)
  await saved.join('a')
  const opened = await Promise.all(
    Array.from({ length: 5 }, () => saved.store.open(app, environment)),
  )
  for (const { record, revision } of opened) {
    t.same(Object.keys(record.members), ['a'])
    t.equal(revision, 1)
  }
  t.equal((await saved.store.list()).length, 1)
})

void t.test('facts come in order, in pages, of one place or of all', async (t) => {
  const { database, saved } = await openSaved(t)
  await saved.join('a', 'b')
  const other = new Saved(saved.store, await saved.store.open('blog', environment))
  await other.join('c')
  await saved.desire('r1')
  const history = new HistoryStore(database.db)
  const all = await history.facts(0, 100, {}, everything)
  t.same(
    all.map((fact) => fact.id),
    all.map((_, index) => index + 1),
  )
  t.equal(await history.newestFact(), all.length)
  t.equal((await history.facts(2, 1, {}, everything))[0]?.id, 3)
  const ofShop = await history.facts(0, 100, shop, everything)
  t.notOk(ofShop.some((fact) => fact.app === 'blog'))
  t.equal(ofShop.length, all.length - 1)
  t.match(
    all.map((fact) => fact.text),
    [/name-a joined/, /name-b joined/, /name-c joined/, /decided stage/, /rollout to 1\.0\.0/],
  )
})

void t.test('rollouts are listed newest first, page after page', async (t) => {
  const { database, saved } = await openSaved(t)
  await saved.join('a')
  for (let at = 0; at < 5; at += 1) await saved.desire(`r${at}`, at % 2 === 0 ? one : two, at + 10)
  const history = new HistoryStore(database.db)
  const first = await history.rollouts(shop, 2, null)
  const last = first.at(-1)?.number ?? null
  const ids = [...first, ...(await history.rollouts(shop, 10, last))].map((r) => r.rollout.id)
  t.same(ids, ['r4', 'r3', 'r2', 'r1', 'r0'])
})

void t.test('many saves in a row leave room for everything else to run', async (t) => {
  const { saved } = await openSaved(t)
  let turns = 0
  const turn = () => {
    turns += 1
    next = setImmediate(turn)
  }
  let next = setImmediate(turn)
  const hosts = Array.from({ length: 20 }, (_, at) => `h${at}`)
  await saved.join(...hosts)
  clearImmediate(next)
  t.ok(turns >= hosts.length, `${turns} turns of the event loop during ${hosts.length} saves`)
})
