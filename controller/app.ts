// The controller put together: every adapter is built here and nowhere else.

import { mkdir } from 'node:fs/promises'
import { Server } from 'node:https'
import { join } from 'node:path'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { Challenges } from './access/agent-identity.ts'
import { controllerItself } from './access/audit.ts'
import { CallRates } from './access/call-rates.ts'
import { contentToken } from './access/content-token.ts'
import { OpenStreams } from './access/open-streams.ts'
import { everywhere, mayGive } from './access/permission.ts'
import { Denials } from './access/denials.ts'
import { NewestAuditHead } from './access/newest-audit-head.ts'
import { writeSecret } from './adapters/secret-file.ts'
import { systemClock as clock } from './adapters/system-clock.ts'
import { type ContentLibrary, openContentLibrary } from './content/content-library.ts'
import { serveAgents } from './http/agent-upgrade.ts'
import { OpenContent } from './http/open-content.ts'
import { buildServer } from './http/server.ts'
import { createPublisher } from './publishing/publish-release.ts'
import { Announcements } from './runtime/announcements.ts'
import { Environments } from './runtime/environments.ts'
import { type RegistryPorts, SessionRegistry } from './sessions/session-registry.ts'
import { AuditStore } from './store/audit-store.ts'
import { ApprovalStore } from './store/approval-store.ts'
import { type Database, isDatabaseTrouble, openDatabase } from './store/database.ts'
import { EnvironmentSettingStore } from './store/environment-setting-store.ts'
import { HistoryStore } from './store/history-store.ts'
import { HookOutputStore } from './store/hook-output-store.ts'
import { HostStore } from './store/host-store.ts'
import { ReleaseRemoval } from './store/release-removal.ts'
import { ReleaseStore } from './store/release-store.ts'
import { SettingStore } from './store/setting-store.ts'
import { SqlEnvironmentStore } from './store/sql-environment-store.ts'
import { type Token, TokenStore } from './store/token-store.ts'
import { ControllerTls } from './tls/controller-tls.ts'
import type { TlsChoice } from '#shared/tls-choice.ts'
import { LiveView } from './views/live-view.ts'

export interface ControllerOptions {
  /** Everything that the controller keeps is below it. */
  data: string
  host: string
  port: number
  tls: TlsChoice
  version: string
  log: FastifyBaseLogger
  /** The process must end: another writer is at the database. */
  onFatal: (error: Error) => void
}

export interface Controller {
  /** Where it listens: `http://host:port`, or `https://`. */
  readonly url: string
  /** What it is known by to agents and people; none where it speaks plain HTTP itself. */
  readonly pins: readonly string[]
  /** Whether a write to the database still works: for the watchdog. */
  check(): Promise<void>
  stop(): Promise<void>
}

/** @throws LockstepError `disk-error`, `bad-configuration` (the address cannot be listened on). */
export async function startController(options: ControllerOptions): Promise<Controller> {
  const opened = new AsyncDisposableStack()
  try {
    return await openController(options, opened)
  } catch (error) {
    // Nothing may be left that keeps the process from ending.
    await opened.disposeAsync()
    throw isDatabaseTrouble(error) ? databaseTrouble(error) : error
  }
}

/** @param opened is given what has to be closed, in the order in which it was opened */
async function openController(
  options: ControllerOptions,
  opened: AsyncDisposableStack,
): Promise<Controller> {
  const { data } = options
  await mkdir(data, { recursive: true, mode: 0o700 })
  const db = await openDatabase(join(data, 'lockstep.sqlite'))
  opened.defer(() => db.destroy())
  const stores = storesOf(db)
  await keepAdminToken(stores.tokens, join(data, 'admin-token'))
  const content = await openContentLibrary(data)
  opened.defer(() => content.close())
  const contentSecret = await stores.settings.contentSecret()
  const announcements = new Announcements()
  const openContent = new OpenContent()
  const tls = await ControllerTls.open(options.tls, { ...options, clock })
  opened.defer(() => tls.stop())
  const { environments, sessions } = await startFleet(options, {
    tls,
    stores,
    announcements,
    contentSecret,
    openContent,
    opened,
  })
  const denials = new Denials({
    clock,
    record: (record) => stores.audit.record(record),
    onUnrecorded: (error) => options.log.error({ err: error }, 'a denied attempt is not recorded'),
  })
  const stopping = new AbortController()
  const server = await serve(options, {
    stores,
    environments,
    sessions,
    announcements,
    content,
    contentSecret,
    openContent,
    tls,
    denials,
    stopping: stopping.signal,
  })
  opened.defer(async () => {
    stopping.abort()
    sessions.stop()
    await server.close()
    await denials.stop()
  })
  return {
    url: await listen(server, options),
    pins: tls.pins(),
    check: () => stores.settings.touch(clock.now()),
    stop: () => opened.disposeAsync(),
  }
}

/** The sessions and the environments: each hands the other what it hears. */
async function startFleet(
  options: ControllerOptions,
  parts: {
    stores: Stores
    announcements: Announcements
    contentSecret: Uint8Array
    openContent: OpenContent
    tls: ControllerTls
    opened: AsyncDisposableStack
  },
): Promise<{ environments: Environments; sessions: SessionRegistry }> {
  const { log } = options
  const { stores, announcements, contentSecret, openContent, tls, opened } = parts
  const newest = await openNewestHead(stores, log)
  opened.defer(() => newest.stop())
  const hosts = await stores.hosts.list()
  const ports: RegistryPorts = {
    clock,
    report: async (host, session, place, report) =>
      environments.of(place)?.report(host, session, report),
    closed: (host, session) => {
      for (const place of host.apps) environments.of(place)?.closeSession(host.id, session)
    },
    output: async (host, message) => {
      const rollout = await stores.hookOutputs.add(host.id, message, clock.now())
      const { app, environment } = message
      if (rollout !== null) announcements.announce({ app, environment, rollout })
    },
    contentToken: (host) => contentToken(contentSecret, host, clock.now() + limits.contentTokenMs),
    pins: () => tls.pins(),
    auditHead: () => newest.head,
    introduced: (host, hello) => {
      stores.hosts.label(host.id, hello.labels).catch((error: unknown) => {
        log.error({ host: host.name, err: error }, 'the labels could not be stored')
      })
    },
    onRefused: (host, error) => log.warn({ host: host.name, code: error.code }, error.message),
    cloned: (host) => {
      openContent.end(host.id)
      stores.hosts
        .markCloned(host, clock.now())
        .then(() => {
          for (const place of host.apps) announcements.announce({ ...place, rollout: null })
        })
        .catch((error: unknown) => {
          log.error({ host: host.name, err: error }, 'the clone alarm could not be stored')
        })
    },
  }
  const cloned = hosts.filter(({ clonedAt }) => clonedAt !== null).map(({ id }) => id)
  const sessions = new SessionRegistry(ports, cloned)
  opened.defer(() => sessions.stop())
  const environments = await Environments.start(
    {
      store: stores.kept,
      clock,
      tell: (host, session, place, desired) => sessions.tell(host, session, place, desired),
      onChange: ({ record: { app, environment, rollout } }) =>
        announcements.announce({ app, environment, rollout: rollout?.id ?? null }),
      onUnsaved: (place, error) => log.error({ ...place, err: error }, 'could not be saved'),
      onConflict: options.onFatal,
    },
    hosts,
  )
  opened.defer(() => environments.stop())
  return { environments, sessions }
}

function openNewestHead({ audit }: Stores, log: FastifyBaseLogger): Promise<NewestAuditHead> {
  return NewestAuditHead.open({
    clock,
    read: () => audit.head(),
    onTrouble: (error) => log.error({ err: error }, 'the audit trail cannot be read'),
  })
}

/** The server with every route and the agents' channel; it does not listen yet. */
async function serve(
  options: ControllerOptions,
  parts: {
    stores: Stores
    environments: Environments
    sessions: SessionRegistry
    announcements: Announcements
    content: ContentLibrary
    contentSecret: Uint8Array
    openContent: OpenContent
    tls: ControllerTls
    denials: Denials
    stopping: AbortSignal
  },
): Promise<FastifyInstance> {
  const { stores, content, ...rest } = parts
  const controllerId = await stores.settings.controllerId()
  const challenges = new Challenges(clock)
  const rates = new CallRates(clock)
  const server = await buildServer({
    ...stores,
    ...rest,
    log: options.log,
    version: options.version,
    clock,
    content,
    controllerId,
    challenges,
    live: new LiveView({ ...stores, ...rest, clock }),
    openStreams: new OpenStreams(),
    rates,
    publish: createPublisher({
      content: content.store,
      startTimer: (delayMs, callback) => clock.timer(clock.now() + delayMs, callback),
    }),
  })
  serveAgents(server.server, {
    controllerId,
    challenges,
    sessions: parts.sessions,
    tls: parts.tls,
    hosts: stores.hosts,
    rates,
    isBehindProxy: parts.tls.mode === 'behind-proxy',
    denials: parts.denials,
    onError: (error) => options.onFatal(error instanceof Error ? error : new Error(String(error))),
  })
  return server
}

type Stores = ReturnType<typeof storesOf>

function storesOf(db: Database) {
  return {
    kept: new SqlEnvironmentStore(db),
    releases: new ReleaseStore(db),
    removal: new ReleaseRemoval(db),
    hosts: new HostStore(db),
    tokens: new TokenStore(db),
    history: new HistoryStore(db),
    hookOutputs: new HookOutputStore(db),
    settings: new SettingStore(db),
    environmentSettings: new EnvironmentSettingStore(db),
    approvals: new ApprovalStore(db),
    audit: new AuditStore(db),
  }
}

/**
 * Whoever may read the data directory always has a way in: the first start stores a token there, and
 * so does one that finds none which is still good. The file comes first: a token whose text was
 * lost to a crash would lock everybody out.
 */
async function keepAdminToken(tokens: TokenStore, path: string): Promise<void> {
  const createdAt = clock.now()
  const known = await tokens.list()
  const everything = { role: 'admin', app: everywhere, environment: everywhere } as const
  const isGood = ({ grants, expiresAt }: Token) =>
    expiresAt > createdAt && mayGive(grants, everything)
  if (known.some(isGood)) return
  const token = {
    kind: 'api' as const,
    grants: [everything],
    owner: null,
    apps: [],
    createdAt,
    expiresAt: createdAt + limits.apiTokenMsMax,
    usesMax: null,
    by: controllerItself,
    why: 'no good token was left',
  }
  await tokens.create(token, (text) => writeSecret(path, `${text}\n`))
}

function databaseTrouble(error: unknown): LockstepError {
  return new LockstepError('bad-database', `the database refused: ${String(error)}`, {
    hint: 'Free space below the data directory, or look at its disk.',
    cause: error,
  })
}

async function listen(server: FastifyInstance, options: ControllerOptions): Promise<string> {
  try {
    const { host, port } = options
    // fastify takes a server that it did not make for one of plain HTTP.
    const isSecure = server.server instanceof Server
    const withScheme = (url: string) => (isSecure ? url.replace(/^http:/, 'https:') : url)
    const listenTextResolver = (url: string) => `server listens at ${withScheme(url)}`
    return withScheme(await server.listen({ host, port, listenTextResolver }))
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    throw new LockstepError(
      'bad-configuration',
      `cannot listen on ${options.host}:${options.port} (${code})`,
      { hint: 'Choose a free address: --listen HOST:PORT.', cause: error },
    )
  }
}
