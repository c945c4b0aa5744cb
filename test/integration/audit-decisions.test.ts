// Every decision has its entry in the audit trail, with who and why; and one whose entry cannot be
// written does not happen.

import { pino } from 'pino'
import t from 'tap'
import { ControllerTls } from '#controller/tls/controller-tls.ts'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AuditStore } from '#controller/store/audit-store.ts'
import { sql } from 'kysely'
import { archive, file, gzip } from '../support/archives.ts'
import { AgentKey } from '../support/agent-key.ts'
import { allowAudit, auditTrail, chainFault, refuseAudit, rowsOf } from '../support/audit-trail.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { asker, digestOf, reportOf } from '../support/fleet-facts.ts'
import { baseOf, openShop } from '../support/shop-server.ts'
import { openTestDatabase } from '../support/test-database.ts'
import { openTestServer, routesOf } from '../support/test-server.ts'
import { ci, signedStatement, statement } from '../unit/shared/trust/signing.ts'

type Shop = Awaited<ReturnType<typeof openShop>>

interface Case {
  /** As the server prints it. */
  readonly route: string
  readonly staging?: boolean
  /** Other than success: the test’s releases have no content that could be swept. */
  readonly status?: number
  /** What has to be there first; its end is put into the address in place of `*`. */
  readonly before?: (shop: Shop) => Promise<unknown>
  readonly url?: string
  readonly payload?: object | ((shop: Shop, prepared: string) => Promise<object>)
  /** The entry that it makes; null where nothing is decided. */
  readonly entry: { what: string; [member: string]: unknown } | null
}

const base = baseOf('production')
const why = 'ticket 1204 – “urgent”'

async function openRollout({ desire }: Shop, body: object = {}): Promise<string> {
  const answer = await desire({ version: '1.0.0', ...body })
  return answer.body.rollout?.id ?? ''
}

async function committed({ desire, obey }: Shop, ...versions: string[]): Promise<void> {
  for (const version of versions) {
    await desire({ version })
    await obey()
  }
}

async function frozen({ call }: Shop): Promise<void> {
  await call('POST', `${base}/freeze`, { reason: 'stocktaking' })
}

async function joinToken({ ports, clock }: Shop): Promise<string> {
  const places = [{ app: 'shop', environment: 'production' }]
  const times = { createdAt: clock.now(), expiresAt: clock.now() + 1e9 }
  const token = {
    kind: 'join' as const,
    grants: [],
    owner: null,
    apps: places,
    ...times,
    usesMax: 1,
    ...asker,
  }
  return (await ports.tokens.create(token)).text
}

const app = 'shop'
const place = { app, environment: 'production' }
const rollout = '/v1/rollouts/:id'
const cases: readonly Case[] = [
  {
    route: 'PUT /v1/apps/:app/releases/:version',
    url: '/v1/apps/shop/releases/7.0.0',
    payload: async () => gzip(archive(file('index.html', 'seven'))),
    entry: { what: 'publish', app, details: { version: '7.0.0', tree: /^[0-9a-f]{64}$/ } },
  },
  {
    route: 'PUT /v1/apps/:app/releases/:version/statement',
    payload: async () => {
      const artifact = { sha256: digestOf('a'), bytes: 1 }
      const ofOne = { ...statement, version: '1.0.0', tree: digestOf('1'), artifact }
      return signedStatement(ofOne, ci)
    },
    entry: { what: 'sign-release', app, details: { version: '1.0.0', sequence: 17 } },
  },
  {
    route: 'DELETE /v1/apps/:app/releases/:version',
    url: '/v1/apps/shop/releases/1.0.0',
    status: 500,
    entry: { what: 'remove-release', app, details: { version: '1.0.0' } },
  },
  {
    route: 'POST /v1/apps/:app/releases/prune',
    payload: { keep: 2 },
    status: 500,
    entry: { what: 'remove-release', app, details: { version: '1.0.0' } },
  },
  {
    route: 'PUT /v1/apps/:app/keep',
    payload: { keep: 7 },
    entry: { what: 'keep-releases', app, details: { keep: 7 } },
  },
  {
    route: 'PUT /v1/apps/:app/environments/:environment/desired',
    payload: { version: '1.0.0', require: '50%', exclude: { 'web-2': 'broken' } },
    entry: {
      what: 'deploy',
      ...place,
      details: { version: '1.0.0', result: 'started', require: '50%', excluded: 1 },
    },
  },
  {
    route: 'POST /v1/apps/:app/environments/:environment/plan',
    payload: { version: '1.0.0' },
    entry: null,
  },
  {
    route: 'POST /v1/apps/:app/environments/:environment/promote',
    staging: true,
    before: async (shop) => {
      await shop.desire({ version: '2.0.0' }, undefined, 'staging')
      await shop.obey('staging')
    },
    payload: { from: 'staging' },
    entry: { what: 'promote', ...place, details: { version: '2.0.0', result: 'started' } },
  },
  {
    route: 'POST /v1/apps/:app/environments/:environment/rollback',
    before: (shop) => committed(shop, '1.0.0', '2.0.0'),
    payload: {},
    entry: { what: 'rollback', ...place, details: { version: '1.0.0', result: 'started' } },
  },
  {
    route: 'POST /v1/apps/:app/environments/:environment/recover',
    before: async ({ runner, hosts: [host] }) => {
      const fence = { term: 9, epoch: 9, hash: 'f'.repeat(64) }
      await runner.report(host?.host ?? '', 1, reportOf({ fence }))
      await runner.idle()
    },
    payload: {},
    entry: { what: 'recover', ...place, details: { run: null } },
  },
  {
    route: 'POST /v1/apps/:app/environments/:environment/freeze',
    payload: { reason: why, owner: 'the shop team' },
    entry: { what: 'freeze', ...place, details: { owner: 'the shop team' } },
  },
  {
    route: 'DELETE /v1/apps/:app/environments/:environment/freeze',
    before: frozen,
    entry: { what: 'unfreeze', ...place, details: { reason: 'stocktaking' } },
  },
  {
    route: 'PUT /v1/apps/:app/environments/:environment/settings',
    staging: true,
    payload: { requires: 'staging' },
    entry: { what: 'set-requirement', ...place, details: { requires: 'staging', was: null } },
  },
  {
    route: `POST ${rollout}/cancel`,
    before: openRollout,
    entry: { what: 'cancel', ...place, details: { version: '1.0.0' } },
  },
  {
    route: `POST ${rollout}/pause`,
    before: async (shop) => {
      const id = await openRollout(shop, { waves: [{ count: 1, soakMs: 600_000 }] })
      await shop.obey()
      return id
    },
    entry: { what: 'pause', ...place },
  },
  {
    route: `POST ${rollout}/continue`,
    before: async (shop) => {
      const id = await openRollout(shop, { waves: [{ count: 1 }] })
      await shop.obey()
      return id
    },
    entry: { what: 'continue', ...place },
  },
  {
    route: 'DELETE /v1/hosts/:id',
    before: async ({ hosts }) => hosts[0]?.host,
    entry: { what: 'remove-host', app: null, details: { name: 'web-1' } },
  },
  {
    route: 'POST /v1/hosts/:id/drain',
    before: async ({ hosts }) => hosts[0]?.host,
    payload: { reason: why },
    entry: { what: 'drain', ...place, details: { name: 'web-1' } },
  },
  {
    route: 'DELETE /v1/hosts/:id/drain',
    before: async ({ hosts, call }) => {
      await call('POST', `/v1/hosts/${hosts[0]?.host}/drain`, { reason: 'a new disk' })
      return hosts[0]?.host
    },
    entry: { what: 'let-in', ...place, details: { name: 'web-1' } },
  },
  {
    route: 'POST /v1/enrol',
    before: joinToken,
    payload: async (shop, token) => {
      const { controllerId: controller, challenges } = shop.ports
      const challenge = { nonce: challenges.draw(), controller }
      return new AgentKey().enrolment(token, 'web-9', challenge)
    },
    entry: { what: 'enrol', ...place, why: null, details: { name: 'web-9' } },
  },
  {
    route: 'POST /v1/apps/:app/environments/:environment/approvals/:id/approve',
    before: askedByAnother,
    entry: { what: 'deploy', ...place, details: { version: '1.0.0', result: 'started' } },
  },
  {
    route: 'POST /v1/apps/:app/environments/:environment/approvals/:id/withdraw',
    before: askedByAnother,
    entry: { what: 'decline-approval', ...place, details: { version: '1.0.0' } },
  },
  {
    route: 'POST /v1/tokens',
    payload: { kind: 'api', grants: [{ role: 'admin', app: '*', environment: '*' }] },
    entry: {
      what: 'create-token',
      app: null,
      details: { kind: 'api', grants: [{ role: 'admin', app: '*', environment: '*' }] },
    },
  },
  {
    route: 'DELETE /v1/tokens/:id',
    before: async ({ ports }) => (await ports.tokens.list()).find((k) => k.kind === 'join')?.id,
    entry: { what: 'revoke-token', app: null },
  },
]

async function askedByAnother({ ports, clock }: Shop): Promise<string> {
  const createdAt = clock.now()
  const grants = [{ role: 'deployer', ...place } as const]
  const times = { createdAt, expiresAt: createdAt + 1e6 }
  const token = { kind: 'api', grants, owner: null, apps: [], usesMax: null, ...asker } as const
  const { token: another } = await ports.tokens.create({ ...token, ...times })
  const release = await ports.releases.reference(app, '1.0.0')
  const wanted = {
    place,
    what: 'deploy',
    release,
    policy: {},
    owner: null,
    requestKey: null,
  } as const
  const author = { by: another.id, at: createdAt, why: null }
  return (await ports.approvals.ask(wanted, author)).id
}

const named = { app: 'shop', environment: 'production', version: '1.0.0' }

/** The address of the case, with what it was prepared with as its id. */
function urlOf({ route, url }: Case, id: string): string {
  const path = url ?? route.slice(route.indexOf(' ') + 1)
  return path.replace(/:(\w+)/g, (_, name: keyof typeof named) => named[name] ?? id)
}

for (const one of cases) {
  void t.test(`${one.route} does not happen without its entry, and has one`, async (t) => {
    const shop = await openShop(t, one.staging === true ? ['staging'] : [])
    const { db } = shop.database
    const prepared = await one.before?.(shop)
    const id = typeof prepared === 'string' ? prepared : ''
    const [method = ''] = one.route.split(' ')
    const ask = async () => {
      const payload = typeof one.payload === 'function' ? await one.payload(shop, id) : one.payload
      return shop.server.inject({
        method: method as 'GET',
        url: urlOf(one, id),
        headers: {
          'authorization': `Bearer ${shop.token}`,
          'lockstep-reason': encodeURIComponent(why),
          ...(payload instanceof Uint8Array ? { 'content-type': 'application/gzip' } : {}),
        },
        ...(payload === undefined ? {} : { payload }),
      })
    }
    const before = await rowsOf(db)
    const known = (await auditTrail(db)).length
    if (one.entry !== null) {
      await refuseAudit(db)
      const refused = await ask()
      t.equal(refused.statusCode, 503, refused.body)
      t.same(await rowsOf(db), before, 'nothing was changed')
      await allowAudit(db)
    }
    const answer = await ask()
    if (one.status === undefined) t.ok(answer.statusCode < 300, answer.body)
    else t.equal(answer.statusCode, one.status)
    const trail = await auditTrail(db)
    const who = one.route === 'POST /v1/enrol' ? /^.{11}$/ : shop.token.split('.')[1]
    if (one.entry === null) t.equal(trail.length, known)
    else t.match(trail[known], { who, why, outcome: 'done', ...one.entry })
    t.equal(chainFault(trail), null)
  })
}

void t.test('every route that changes something has its case', async (t) => {
  const { server } = await openShop(t)
  const changing = routesOf(server).filter(({ method }) => !/^(?:GET|HEAD|OPTIONS)$/.test(method))
  const routes = changing.map(({ method, path }) => `${method} ${path}`)
  const known = [...cases.map(({ route }) => route), 'POST /v1/controller/rotate-ca']
  t.same(routes.sort(), known.sort())
})

void t.test('a change of the authority is recorded before it is made', async (t) => {
  const ports = { clock: new FakeClock(), log: pino({ level: 'silent' }), host: '127.0.0.1' }
  // Not the test's own directory, which the database of the server takes.
  const data = mkdtempSync(join(tmpdir(), 'lockstep-audit-'))
  t.teardown(() => rmSync(data, { recursive: true }))
  const tls = await ControllerTls.open({ mode: 'own-ca', names: [] }, { ...ports, data })
  const { server, token, database } = await openTestServer(t, { tls })
  const rotate = async (payload: object) => {
    const headers = { authorization: `Bearer ${token}` }
    const answer = await server.inject({
      method: 'POST',
      url: '/v1/controller/rotate-ca',
      headers,
      payload,
    })
    return answer.statusCode
  }
  t.equal(await rotate({ finish: true }), 409)
  const [pin] = tls.pins()
  await refuseAudit(database.db)
  t.equal(await rotate({}), 503)
  t.same(tls.pins(), [pin], 'nothing was changed')
  await allowAudit(database.db)
  t.equal(await rotate({}), 200)
  t.equal(await rotate({ finish: true }), 200)
  const told = (await auditTrail(database.db)).filter(({ what }) => what === 'rotate-ca')
  t.match(told, [
    { who: token.split('.')[1], details: { step: 'prepare', pins: [pin] } },
    { details: { step: 'finish', pins: [pin, /./] } },
  ])
  t.equal(told.length, 2)
})

void t.test('what the controller decides itself is recorded as its own', async (t) => {
  const shop = await openShop(t)
  const { db } = shop.database
  await committed(shop, '1.0.0')
  await shop.desire({ version: '2.0.0' })
  await shop.fail()
  const trail = await auditTrail(db)
  const decided = trail.filter(({ environment }) => environment === 'production')
  const told = decided.map(({ who, what, why: reason }) => [who === 'controller', what, reason])
  t.same(told, [
    [false, 'enrol', null],
    [false, 'enrol', null],
    [false, 'deploy', null],
    [false, 'decide-stage', null],
    [true, 'decide-activate', null],
    [true, 'decide-settle', 'all-healthy'],
    [true, 'end-rollout', 'all-healthy'],
    [false, 'deploy', null],
    [false, 'decide-stage', null],
    [true, 'decide-activate', null],
    [true, 'decide-roll-back', 'host-failed'],
    [true, 'end-rollout', 'host-failed'],
  ])
  t.match(decided.at(-1), { details: { phase: 'rolled-back', version: '2.0.0' } })
  t.match(decided.at(-2), { details: { run: '1.0.0', counted: 2, term: 1, epoch: 6 } })
  t.equal(chainFault(trail), null)
})

void t.test('a reason that UTF-8 cannot hold as it is breaks no chain', async (t) => {
  const { call, database } = await openShop(t)
  // JSON names half of a surrogate pair as an escape; a database gives another text back.
  t.match(await call('POST', `${base}/freeze`, { reason: 'closed \ud83d' }), { status: 200 })
  const trail = await auditTrail(database.db)
  t.match(trail.at(-1), { what: 'freeze', why: 'closed \ufffd' })
  t.equal(chainFault(trail), null)
})

void t.test('a cloned identity is recorded once', async (t) => {
  const { ports, database } = await openShop(t)
  const [host] = await ports.hosts.list()
  if (host === undefined) throw new Error('nobody is enrolled')
  await ports.hosts.markCloned(host, 7)
  await ports.hosts.markCloned(host, 8)
  const trail = await auditTrail(database.db)
  t.match(
    trail.filter(({ what }) => what === 'mark-cloned'),
    [{ at: 7, who: 'controller', details: { host: host.id, name: host.name } }],
  )
})

void t.test('a reason that cannot be read is refused before anything is done', async (t) => {
  const shop = await openShop(t)
  for (const reason of ['%', '%ff', '', 'x'.repeat(201)]) {
    const answer = await shop.server.inject({
      method: 'POST',
      url: '/v1/tokens',
      headers: { 'authorization': `Bearer ${shop.token}`, 'lockstep-reason': reason },
      payload: { kind: 'api', grants: [{ role: 'admin', app: '*', environment: '*' }] },
    })
    t.match(answer.json(), { code: 'bad-request', message: /lockstep-reason/ }, reason)
  }
})

void t.test('an entry is neither changed nor deleted nor put between others', async (t) => {
  const { db } = await openTestDatabase(t)
  const audit = new AuditStore(db)
  t.same(await audit.head(), { sequence: 0, hash: '0'.repeat(64) })
  const record = { at: 1, who: 'controller', what: 'deploy', outcome: 'done' as const }
  await Promise.all(Array.from({ length: 100 }, (_, at) => audit.record({ ...record, at })))
  const trail = await auditTrail(db)
  t.equal(chainFault(trail), null)
  t.same(await audit.head(), { sequence: 100, hash: trail.at(-1)?.hash })
  const columns = 'sequence, at, who, what, app, environment, why, outcome, details, hash'
  for (const bad of [
    `UPDATE audit SET who = 'nobody' WHERE sequence = 7`,
    'DELETE FROM audit WHERE sequence = 100',
    'DELETE FROM audit',
    `INSERT OR REPLACE INTO audit (${columns}) SELECT ${columns} FROM audit WHERE sequence = 3`,
    `INSERT INTO audit SELECT 105, at, who, what, app, environment, why, outcome, details, hash
      FROM audit WHERE sequence = 3`,
  ]) {
    await t.rejects(sql.raw(bad).execute(db), { message: 'the audit trail is append-only' }, bad)
  }
  t.same(await auditTrail(db), trail)
})

void t.test('what a deed says of itself is bounded', async (t) => {
  const { db } = await openTestDatabase(t)
  const record = { at: 1, who: 'controller', what: 'deploy', outcome: 'done' as const }
  await new AuditStore(db).record({ ...record, details: { long: 'x'.repeat(1e6) } })
  const short = { approval: 'a1', tree: digestOf('1'), policy: 'x'.repeat(5000), version: '1.0.0' }
  await new AuditStore(db).record({ ...record, details: short })
  const { policy: _, ...kept } = short
  const trail = await auditTrail(db)
  t.same(
    trail.map(({ details }) => details),
    [{ leftOutBytes: 1_000_011 }, { ...kept, leftOutBytes: 5013 }],
    'what is long, and nothing beside it',
  )
  t.equal(chainFault(trail), null)
})
