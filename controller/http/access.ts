// Who may call a route: every route declares it, and the server refuses to start with one that does
// not. Every request is decided here and nowhere else. Tokens are Bearer tokens (RFC 6750).

import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Clock } from '#shared/clock.ts'
import { type ErrorCode, LockstepError } from '#shared/errors.ts'
import type { CallRates } from '../access/call-rates.ts'
import { hostOfContentToken } from '../access/content-token.ts'
import {
  type Action,
  everywhere,
  type Grants,
  may,
  mayInApp,
  maySomewhere,
  sees,
} from '../access/permission.ts'
import type { SessionRegistry } from '../sessions/session-registry.ts'
import type { HostApp, HostStore } from '../store/host-store.ts'
import type { Token, TokenStore } from '../store/token-store.ts'
import type { LiveView } from '../views/live-view.ts'
import type { OpenContent } from './open-content.ts'

/**
 * Where an action has to be allowed: `none` anywhere (the route shows or changes only what the caller
 * may), `everything` in every app and environment, `app` in the app of the address, `environment` in
 * its app and environment, `rollout` in the place of the rollout, `host` wherever the host serves (for
 * reading: anywhere it does).
 */
export type Scope = 'none' | 'everything' | 'app' | 'environment' | 'rollout' | 'host'

/**
 * `open` to anyone; `agent` to agents, which prove themselves in the body; `content` to agents with
 * their session's content token too; else the action that a token has to allow.
 */
export type Access =
  | 'open'
  | 'agent'
  | 'content'
  | { readonly action: Action; readonly scope: Scope }

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access
  }
  interface FastifyRequest {
    /** Who calls, for records: the token's id or the agent's host id. */
    principal: string
    /** The host whose content token the request bears; it may fetch only what it is told. */
    agent: string | null
    /** Null for agents and on routes that are open. */
    token: Token | null
  }
}

export interface AccessPorts {
  tokens: TokenStore
  hosts: HostStore
  live: LiveView
  contentSecret: Uint8Array
  openContent: OpenContent
  rates: CallRates
  sessions: SessionRegistry
  clock: Clock
}

const all: HostApp = { app: everywhere, environment: everywhere }

/** What the address of a route has to name for its scope. */
const namedBy: Readonly<Record<Scope, RegExp>> = {
  none: /^/,
  everything: /^/,
  app: /\/:app(\/|$)/,
  environment: /\/:app\/.*\/:environment(\/|$)/,
  rollout: /^\/v1\/rollouts\/:id(\/|$)/,
  host: /^\/v1\/hosts\/:id(\/|$)/,
}

export function requireAccess(app: FastifyInstance, ports: AccessPorts): void {
  app.decorateRequest('principal', 'nobody')
  app.decorateRequest('agent', null)
  app.decorateRequest('token', null)
  app.addHook('onRoute', ({ method, url, config }) => {
    const access = config?.access
    if (access === undefined) {
      throw new Error(`the route ${String(method)} ${url} does not declare its access`)
    }
    if (typeof access === 'object' && !namedBy[access.scope].test(url)) {
      throw new Error(`the route ${String(method)} ${url} does not name its ${access.scope}`)
    }
  })
  app.addHook('onRequest', async (request, reply) => {
    const access = request.routeOptions.config.access
    if (access === 'agent') return ports.rates.ofAgentsAt(request.ip)
    // An address without a route is open: there is nothing behind it.
    if (access === undefined || access === 'open') return ports.rates.ofAddress(request.ip)
    const text = bearerOf(request)
    const at = ports.clock.now()
    const named = access === 'content' ? hostOfContentToken(ports.contentSecret, text, at) : null
    if (named !== null) ports.openContent.add(named, reply.raw)
    const host = named !== null && (await isWelcome(named, ports)) ? named : null
    request.agent = host
    if (host !== null) {
      request.principal = host
      return ports.rates.ofHost(host)
    }
    const counted = ports.rates.before(text, request.ip)
    const token = await authenticated(text, at, ports)
    request.token = token
    request.principal = token.id
    if (counted === null) ports.rates.ofToken(token.id)
    if (access === 'content') {
      // A tree belongs to no one app: the same bytes may be a release of several.
      if (!may(token.grants, 'read', all)) throw forbidden('read', all)
    } else {
      await decide(request, token.grants, access, ports)
    }
  })
}

/**
 * For what only the body of a request names: the action has to be allowed there too.
 * @throws LockstepError `forbidden`, or for what the caller may not even see that it is not there.
 */
export function demand(request: FastifyRequest, action: Action, place: HostApp): void {
  const grants = grantsOf(request)
  if (may(grants, action, place)) return
  const { app, environment } = place
  if (sees(grants, place)) throw forbidden(action, place)
  throw hidden('unknown-environment', `${app} has no environment ${environment}`)
}

/**
 * For what a request gives to others: whoever gives has to administer all of it.
 * @throws LockstepError `forbidden`, whether there is such a place or not.
 */
export function demandToGive(request: FastifyRequest, places: readonly HostApp[]): void {
  const grants = grantsOf(request)
  const beyond = places.find((place) => !may(grants, 'admin', place))
  if (beyond !== undefined) throw forbidden('admin', beyond)
}

/** Empty for agents. */
export function grantsOf({ token }: FastifyRequest): Grants {
  return token?.grants ?? []
}

/** Whether the caller may read what is in a place. */
export function seesOf(request: FastifyRequest): (place: HostApp) => boolean {
  const grants = grantsOf(request)
  return (place) => sees(grants, place)
}

/** @throws LockstepError `forbidden`, or for what the caller may not even see that it is not there. */
async function decide(
  request: FastifyRequest,
  grants: Grants,
  { action, scope }: Exclude<Access, string>,
  { live, hosts }: AccessPorts,
): Promise<void> {
  const { app = '', environment = '', id = '' } = request.params as Record<string, string>
  switch (scope) {
    case 'none':
      if (maySomewhere(grants, action)) return
      throw forbidden(action, all)
    case 'everything':
      if (may(grants, action, all)) return
      throw forbidden(action, all)
    case 'app':
      if (mayInApp(grants, action, app)) return
      if (mayInApp(grants, 'read', app)) throw forbidden(action, { app, environment: everywhere })
      throw hidden('unknown-app', `there is no app ${app}`)
    case 'environment':
      return demand(request, action, { app, environment })
    case 'rollout': {
      const place = await live.placeOfRollout(id)
      if (place === null) throw unknownRollout(id)
      if (!sees(grants, place)) throw outOfSight(unknownRollout(id))
      return demand(request, action, place)
    }
    case 'host': {
      const apps = (await hosts.get(id))?.apps ?? []
      if (apps.length === 0) throw unknownHost(id)
      if (!apps.some((place) => sees(grants, place))) throw outOfSight(unknownHost(id))
      if (action === 'read' || apps.every((place) => may(grants, action, place))) return
      throw forbidden(action, apps.find((place) => sees(grants, place)) ?? all)
    }
  }
}

/** What the caller may not see: answered as what is not there, and recorded as what it is. */
export class OutOfSight extends LockstepError {}

const hiddenHint = { hint: '`lockstep whoami` says what your token is good for.' }

/** That it is there is not said to whoever may not see it: the answer is that of one that is not. */
function hidden(code: ErrorCode, message: string): LockstepError {
  return new OutOfSight(code, message, hiddenHint)
}

function outOfSight({ code, message }: LockstepError): LockstepError {
  return hidden(code, message)
}

function unknownRollout(id: string): LockstepError {
  return new LockstepError('unknown-rollout', `there is no rollout ${id}`, hiddenHint)
}

export function unknownHost(id: string): LockstepError {
  return new LockstepError('unknown-host', `there is no host ${id}`, hiddenHint)
}

function forbidden(action: Action, place: HostApp): LockstepError {
  const message = `the token does not allow to ${verbs[action]} ${wordsOf(place)}`
  return new LockstepError('forbidden', message, {
    hint: '`lockstep whoami` says what it is good for; an admin makes others.',
    details: { action, ...place },
  })
}

const verbs: Readonly<Record<Action, string>> = {
  read: 'read',
  publish: 'publish',
  deploy: 'deploy',
  admin: 'administer',
}

function wordsOf({ app, environment }: HostApp): string {
  const where = environment === everywhere ? 'in every environment' : `in ${environment}`
  return `${app === everywhere ? 'every app' : app} ${where}`
}

/** @throws LockstepError `unauthorised` */
async function authenticated(
  text: string,
  at: number,
  { tokens, rates }: AccessPorts,
): Promise<Token> {
  let id: string | null = null
  try {
    const token = await tokens.authenticate(text, at)
    id = token.id
    return token
  } finally {
    rates.judged(text, id)
  }
}

/** A content token outlives the session that it was given in, but not that the host is turned away. */
async function isWelcome(host: string, { hosts, sessions }: AccessPorts): Promise<boolean> {
  return (await hosts.get(host)) !== null && !sessions.isCloned(host)
}

function bearerOf(request: FastifyRequest): string {
  const [, token] =
    /^Bearer ([0-9A-Za-z._-]{1,200})$/.exec(request.headers.authorization ?? '') ?? []
  if (token !== undefined) return token
  throw new LockstepError('unauthorised', 'the request bears no token', {
    hint: 'Send `Authorization: Bearer TOKEN`.',
  })
}
