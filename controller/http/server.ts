// The HTTP server: limits, access, errors, the OpenAPI document and every route, in one order.

import type { Server } from 'node:http'
import {
  type FastifyPluginAsyncTypebox,
  TypeBoxValidatorCompiler,
} from '@fastify/type-provider-typebox'
import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyServerFactory,
  LogController,
} from 'fastify'
import { Type } from 'typebox'
import { HealthView } from '#shared/api/schemas.ts'
import { limits } from '#shared/limits.ts'
import type { CallRates } from '../access/call-rates.ts'
import { requireAccess } from './access.ts'
import { protectAnswers } from './answer-headers.ts'
import { isWebSocketUpgrade } from './agent-upgrade.ts'
import type { ControllerTls } from '../tls/controller-tls.ts'
import type { Denials } from '../access/denials.ts'
import { recordDenials } from './denied-requests.ts'
import { describeRoutes } from './openapi.ts'
import { refuseExposedSecrets } from './exposed-secrets.ts'
import { requireLocalNames } from './local-names.ts'
import { replyClientError, replyErrors, replyFrameworkError } from './error-reply.ts'
import { boundBodies } from './unread-body.ts'
import { type AuditRoutePorts, auditRoutes } from './routes/audit-routes.ts'
import { type AgentRoutePorts, agentRoutes } from './routes/agent-routes.ts'
import { type ApprovalRoutePorts, approvalRoutes } from './routes/approval-routes.ts'
import { type ContentRoutePorts, contentRoutes } from './routes/content-routes.ts'
import { type ControllerRoutePorts, controllerRoutes } from './routes/controller-routes.ts'
import { type DesiredRoutePorts, desiredRoutes } from './routes/desired-routes.ts'
import { type EnvironmentRoutePorts, environmentRoutes } from './routes/environment-routes.ts'
import { type EventRoutePorts, eventRoutes } from './routes/event-routes.ts'
import { type HostRoutePorts, hostRoutes } from './routes/host-routes.ts'
import { type OutputRoutePorts, outputRoutes } from './routes/output-routes.ts'
import { type ReleaseHistoryPorts, releaseHistoryRoutes } from './routes/release-history-routes.ts'
import { type ReleaseRoutePorts, releaseRoutes } from './routes/release-routes.ts'
import { type RolloutRoutePorts, rolloutRoutes } from './routes/rollout-routes.ts'
import { type StatementRoutePorts, statementRoutes } from './routes/statement-routes.ts'
import { type TokenRoutePorts, tokenRoutes } from './routes/token-routes.ts'

export interface ServerPorts
  extends AgentRoutePorts,
    ApprovalRoutePorts,
    AuditRoutePorts,
    ContentRoutePorts,
    ControllerRoutePorts,
    DesiredRoutePorts,
    EnvironmentRoutePorts,
    EventRoutePorts,
    HostRoutePorts,
    OutputRoutePorts,
    ReleaseHistoryPorts,
    ReleaseRoutePorts,
    RolloutRoutePorts,
    StatementRoutePorts,
    TokenRoutePorts {
  log: FastifyBaseLogger
  rates: CallRates
  contentSecret: Uint8Array
  denials: Denials
}

/** Routes are registered and checked; nothing listens yet. */
export async function buildServer(ports: ServerPorts): Promise<FastifyInstance> {
  const app = fastify<Server>({
    loggerInstance: ports.log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: limits.bodyBytesMax,
    // A tarball may take long; what stalls is ended by the publisher's own watchdog.
    requestTimeout: 0,
    connectionTimeout: 0,
    forceCloseConnections: true,
    // Behind a proxy the address of a caller is what the proxy says it is, and no further.
    trustProxy: (_address, hop) => ports.tls.mode === 'behind-proxy' && hop === 0,
    http: {
      shouldUpgradeCallback: isWebSocketUpgrade,
      maxHeaderSize: limits.headBytesMax,
      headersTimeout: limits.headPatienceMs,
    },
    ...secured(ports.tls),
    frameworkErrors: replyFrameworkError,
    clientErrorHandler: replyClientError,
  })
  app.setValidatorCompiler(TypeBoxValidatorCompiler)
  // Views are built to their schema by the type checker; checking them again costs and can hide.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data))
  // Whatever is no JSON is a stream for the one route that takes tarballs.
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  app.server.maxConnections = limits.connectionsMax
  app.server.maxHeadersCount = limits.headersMax
  replyErrors(app, ports.rates)
  protectAnswers(app)
  if (ports.tls.isLocal) requireLocalNames(app)
  refuseExposedSecrets(app)
  recordDenials(app, ports.denials)
  requireAccess(app, ports)
  boundBodies(app, ports.clock)
  await describeRoutes(app, ports.version)
  await app.register(releaseRoutes(ports))
  await app.register(releaseHistoryRoutes(ports))
  await app.register(statementRoutes(ports))
  await app.register(environmentRoutes(ports))
  await app.register(desiredRoutes(ports))
  await app.register(approvalRoutes(ports))
  await app.register(rolloutRoutes(ports))
  await app.register(outputRoutes(ports))
  await app.register(hostRoutes(ports))
  await app.register(tokenRoutes(ports))
  await app.register(agentRoutes(ports))
  await app.register(contentRoutes(ports))
  await app.register(eventRoutes(ports))
  await app.register(controllerRoutes(ports))
  await app.register(auditRoutes(ports))
  await app.register(serviceRoutes(ports.version))
  await app.ready()
  return app
}

/** Without it fastify makes the server itself, and that one speaks plain HTTP. */
function secured(tls: ControllerTls): { serverFactory?: FastifyServerFactory<Server> } {
  const { createServer } = tls
  if (createServer === null) return {}
  const shouldUpgradeCallback = isWebSocketUpgrade
  return { serverFactory: (listener) => createServer(listener, { shouldUpgradeCallback }) }
}

function serviceRoutes(version: string): FastifyPluginAsyncTypebox {
  return async (app) => {
    const config = { access: 'open' as const }
    for (const url of ['/healthz', '/readyz']) {
      app.get(
        url,
        { config, schema: { tags: ['service'], response: { 200: HealthView } } },
        async () => ({ status: 'ok' as const, version }),
      )
    }
    app.get(
      '/openapi.json',
      { config, schema: { hide: true, response: { 200: Type.Unknown() } } },
      async () => app.swagger(),
    )
  }
}
