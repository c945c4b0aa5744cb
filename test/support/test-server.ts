// The HTTP server over a real database and real content, with a clock that the test moves: for
// `inject`, without a socket.

import { dirname, join } from 'node:path'
import { pino } from 'pino'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { Denials } from '#controller/access/denials.ts'
import { Challenges } from '#controller/access/agent-identity.ts'
import { CallRates } from '#controller/access/call-rates.ts'
import { OpenStreams } from '#controller/access/open-streams.ts'
import { openContentLibrary } from '#controller/content/content-library.ts'
import { OpenContent } from '#controller/http/open-content.ts'
import { buildServer, type ServerPorts } from '#controller/http/server.ts'
import { createPublisher } from '#controller/publishing/publish-release.ts'
import { Announcements } from '#controller/runtime/announcements.ts'
import { Environments } from '#controller/runtime/environments.ts'
import { SessionRegistry } from '#controller/sessions/session-registry.ts'
import { AuditStore } from '#controller/store/audit-store.ts'
import { ApprovalStore } from '#controller/store/approval-store.ts'
import { EnvironmentSettingStore } from '#controller/store/environment-setting-store.ts'
import { HookOutputStore } from '#controller/store/hook-output-store.ts'
import { HistoryStore } from '#controller/store/history-store.ts'
import { type HostApp, HostStore } from '#controller/store/host-store.ts'
import { ReleaseRemoval } from '#controller/store/release-removal.ts'
import { ReleaseStore } from '#controller/store/release-store.ts'
import { SqlEnvironmentStore } from '#controller/store/sql-environment-store.ts'
import { parseJoinToken, TokenStore } from '#controller/store/token-store.ts'
import { ControllerTls } from '#controller/tls/controller-tls.ts'
import { LiveView } from '#controller/views/live-view.ts'
import { AgentKey } from './agent-key.ts'
import { FakeClock } from './fake-clock.ts'
import { asker, shop } from './fleet-facts.ts'
import { openTestDatabase, type TestDatabase } from './test-database.ts'

export interface TestServer {
  readonly server: FastifyInstance
  readonly ports: ServerPorts
  readonly clock: FakeClock
  readonly database: TestDatabase
  /** Of the level of errors. */
  readonly errors: Record<string, unknown>[]
  /** The text of an API token. */
  readonly token: string
  /** Enrols a host and makes it a member of `shop` in `production`, or of another place. */
  enrol(name: string, place?: HostApp): Promise<AgentKey>
}

export async function openTestServer(
  t: Test,
  changes: Partial<ServerPorts> = {},
): Promise<TestServer> {
  const database = await openTestDatabase(t)
  const clock = new FakeClock()
  const errors: Record<string, unknown>[] = []
  const ports = await portsOf(t, database, clock, errors)
  const server = await buildServer({ ...ports, ...changes })
  t.teardown(() => server.close())
  const at = clock.now()
  const { text: token } = await ports.tokens.create({
    kind: 'api',
    grants: [{ role: 'admin', app: '*', environment: '*' }],
    owner: null,
    apps: [],
    createdAt: at,
    expiresAt: at + 1e9,
    usesMax: null,
    ...asker,
  })
  return {
    server,
    ports,
    clock,
    database,
    errors,
    token,
    async enrol(name, place = shop) {
      const key = new AgentKey()
      const { text } = await ports.tokens.create({
        kind: 'join',
        grants: [],
        owner: null,
        apps: [place],
        createdAt: at,
        expiresAt: at + 1e9,
        usesMax: 1,
        ...asker,
      })
      const { host: id, publicKey } = key
      const host = { id, name, publicKey, apps: [place], enrolledAt: at }
      await ports.environments.join(await ports.hosts.enrol(host, parseJoinToken(text)))
      await ports.environments.of(place)?.idle()
      return key
    },
  }
}

/** Every route that the server has, `GET /v1/apps/:app/releases`, as the server itself prints them. */
export function routesOf(server: FastifyInstance): readonly { method: string; path: string }[] {
  const above: string[] = []
  return server
    .printRoutes({ commonPrefix: false })
    .split('\n')
    .flatMap((line) => {
      const [, indent = '', part = '', methods = ''] =
        /^((?:[│ ] {3})*)[├└]── (\S+) \(([^)]+)\)$/.exec(line) ?? []
      if (part === '') return []
      const depth = indent.length / 4
      above.splice(depth, Number.POSITIVE_INFINITY, part)
      return methods.split(', ').map((method) => ({ method, path: above.join('') }))
    })
}

/** The clock of a test stands still, and all its calls come at once. */
function unlimited(clock: FakeClock): CallRates {
  const rates = new CallRates(clock)
  rates.ofToken = () => undefined
  rates.ofAddress = () => undefined
  rates.ofAgentsAt = () => undefined
  rates.ofHost = () => undefined
  rates.refused = (refusal) => refusal
  return rates
}

async function portsOf(
  t: Test,
  database: TestDatabase,
  clock: FakeClock,
  errors: Record<string, unknown>[],
): Promise<ServerPorts> {
  const { db } = database
  const announcements = new Announcements()
  const content = await openContentLibrary(join(dirname(database.path), 'content'))
  const sessions = new SessionRegistry({
    clock,
    report: () => Promise.resolve(),
    closed: () => undefined,
    output: async () => undefined,
    contentToken: () => 'none',
    pins: () => [],
    auditHead: () => null,
    introduced: () => undefined,
    onRefused: () => undefined,
    cloned: () => undefined,
  })
  const environments = await Environments.start(
    {
      store: new SqlEnvironmentStore(db),
      clock,
      tell: () => undefined,
      onChange: () => undefined,
      onUnsaved: () => undefined,
      onConflict: (error) => t.fail(error.message),
    },
    [],
  )
  t.teardown(() => environments.stop())
  t.teardown(() => content.close())
  const stores = {
    hosts: new HostStore(db),
    releases: new ReleaseStore(db),
    removal: new ReleaseRemoval(db),
    tokens: new TokenStore(db),
    history: new HistoryStore(db),
    environmentSettings: new EnvironmentSettingStore(db),
    approvals: new ApprovalStore(db),
    audit: new AuditStore(db),
    hookOutputs: new HookOutputStore(db),
  }
  const log = pino({ level: 'error' }, { write: (line) => errors.push(JSON.parse(line)) })
  const tls = { clock, log, host: '127.0.0.1', data: dirname(database.path) }
  return {
    ...stores,
    tls: await ControllerTls.open({ mode: 'plain', forced: false }, tls),
    denials: new Denials({
      clock,
      record: (record) => stores.audit.record(record),
      onUnrecorded: (error) => errors.push({ err: error }),
    }),
    announcements,
    clock,
    content,
    environments,
    sessions,
    challenges: new Challenges(clock),
    openStreams: new OpenStreams(),
    rates: unlimited(clock),
    contentSecret: Buffer.alloc(32, 7),
    controllerId: 'controller-of-the-test',
    openContent: new OpenContent(),
    live: new LiveView({ ...stores, clock, environments, sessions }),
    log,
    publish: createPublisher({
      content: content.store,
      startTimer: (delayMs, fire) => clock.timer(clock.now() + delayMs, fire),
    }),
    stopping: new AbortController().signal,
    version: '0.0.0-test',
  }
}
