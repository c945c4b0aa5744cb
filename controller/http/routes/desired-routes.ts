// Requests for a release: deploy, rollback and promote, and the plan of one. Each is one rollout at
// most, however often it is repeated under one Idempotency-Key.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import {
  DesiredAnswer,
  DesiredBody,
  type Policy,
  PromoteBody,
  RollbackBody,
} from '#shared/api/requests.ts'
import { PlanView } from '#shared/api/plan.ts'
import { App, Environment } from '#shared/api/schemas.ts'
import { LockstepError } from '#shared/errors.ts'
import type { Rollout } from '#shared/environment/rollout.ts'
import { openRolloutOf } from '#shared/environment/state.ts'
import type { Release } from '#shared/release.ts'
import type { ContentLibrary } from '../../content/content-library.ts'
import type { Requested } from '../../runtime/environment-audit.ts'
import type { Announcements } from '../../runtime/announcements.ts'
import type { EnvironmentRunner } from '../../runtime/environment-runner.ts'
import type { Environments } from '../../runtime/environments.ts'
import type { ApprovalStore } from '../../store/approval-store.ts'
import type { HostApp } from '../../store/host-store.ts'
import type { ReleaseStore } from '../../store/release-store.ts'
import { forecast, type ForecastPorts } from '../../views/forecast.ts'
import type { LiveView } from '../../views/live-view.ts'
import { planView } from '../../views/plan-view.ts'
import { demand } from '../access.ts'
import { approvalView } from '../approval-view.ts'
import { authorOf } from '../author.ts'
import { sendAnswer, type Told, type Waiting } from '../desired-answer.ts'
import { knownEnvironment } from '../known-environment.ts'
import { requestedRollout, type Requester } from '../requested-rollout.ts'

export interface DesiredRoutePorts extends ForecastPorts {
  announcements: Announcements
  approvals: ApprovalStore
  content: ContentLibrary
  releases: ReleaseStore
  live: LiveView
}

const params = Type.Object({ app: App, environment: Environment })
const headers = Type.Object({
  'idempotency-key': Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
})
const response = { 200: DesiredAnswer, 202: DesiredAnswer }
const config = { access: { action: 'deploy', scope: 'environment' } } as const
const common = { tags: ['environments'], params, headers, response }

export function desiredRoutes(ports: DesiredRoutePorts): FastifyPluginAsyncTypebox {
  const { environments, releases, live } = ports
  return async (app) => {
    app.put(
      '/v1/apps/:app/environments/:environment/desired',
      { config, schema: { ...common, body: DesiredBody } },
      async (request, reply) => {
        const { params: place, body } = request
        const release = await releases.reference(place.app, body.version)
        const { version: _, ...policy } = body
        const asked = { place, release, policy, ...askedBy(request, 'deploy') }
        const { answer, notes } = await ask(ports, asked)
        return sendAnswer(reply, live, answer, notes)
      },
    )
    app.post(
      '/v1/apps/:app/environments/:environment/plan',
      {
        config: { access: { action: 'read', scope: 'environment' } },
        schema: { tags: ['environments'], params, body: DesiredBody, response: { 200: PlanView } },
      },
      async (request) => {
        const { params: place, body } = request
        const { version, ...policy } = body
        if (policy.allowEmpty !== true) knownEnvironment(environments, place)
        const release = await releases.reference(place.app, version)
        const who = { requestedBy: request.principal, requestKey: null }
        const asked = await requestedRollout(live, place, release, { policy, who })
        const at = ports.clock.now()
        return planView(await forecast(ports, place, asked), release, ports.content.store, at)
      },
    )
    app.post(
      '/v1/apps/:app/environments/:environment/promote',
      { config, schema: { ...common, body: PromoteBody } },
      async (request, reply) => {
        const { params: place, body } = request
        const { from, ...policy } = body
        demand(request, 'read', { app: place.app, environment: from })
        const { who, author, owner } = askedBy(request, 'promote')
        const first = await environments.of(place)?.firstOf(who.requestKey, () => true)
        if (first !== null && first !== undefined) {
          return sendAnswer(reply, live, { outcome: 'open', rollout: first }, namedIn(first))
        }
        // What is committed at this instant is what moves, whatever becomes of `from` meanwhile.
        const release = committedIn(environments, { app: place.app, environment: from }, place)
        const { answer, notes } = await ask(ports, { place, release, policy, author, who, owner })
        return sendAnswer(reply, live, answer, { release, ...notes })
      },
    )
    rollbackRoute(app, ports)
  }
}

function rollbackRoute(
  app: Parameters<FastifyPluginAsyncTypebox>[0],
  ports: DesiredRoutePorts,
): void {
  const { environments, live } = ports
  app.post(
    '/v1/apps/:app/environments/:environment/rollback',
    { config, schema: { ...common, body: RollbackBody } },
    async (request, reply) => {
      const { params: place } = request
      const runner = knownEnvironment(environments, place)
      const { version } = request.body
      const { who, author, owner } = askedBy(request, 'rollback')
      // Once the first is under way or over, the way back from here is another one.
      const isSame = ({ target }: Rollout) => version === undefined || version === target.version
      const first = await runner.firstOf(who.requestKey, isSame)
      if (first !== null) {
        return sendAnswer(reply, live, { outcome: 'open', rollout: first }, namedIn(first))
      }
      const release = await releaseToReturnTo(ports, runner, place, version)
      const { answer, notes } = await ask(ports, {
        place,
        release,
        policy: {},
        author,
        who,
        owner,
      })
      return sendAnswer(reply, live, answer, { release, ...notes })
    },
  )
}

interface Asked {
  readonly place: HostApp
  readonly release: Release
  readonly policy: Policy
  readonly who: Requester
  readonly author: Requested
  /** Who holds the token, where that was said. */
  readonly owner: string | null
}

/** Asks the machine, unless people decided otherwise. @throws LockstepError the refusal. */
async function ask(ports: DesiredRoutePorts, asked: Asked) {
  const { environments, live } = ports
  const { place, release, policy, author, who } = asked
  const known = policy.allowEmpty === true ? null : knownEnvironment(environments, place)
  const isSame = ({ target }: Rollout) => target.tree === release.tree
  const first = await (known ?? environments.of(place))?.firstOf(who.requestKey, isSame)
  if (first !== null && first !== undefined) {
    return { answer: { outcome: 'open' as const, rollout: first }, notes: {} }
  }
  const request = await requestedRollout(live, place, release, { policy, who })
  const { refusal, notes: noted, rehearsal } = await forecast(ports, place, request)
  if (refusal !== null) throw new LockstepError(refusal.code, refusal.message, refusal)
  const notes = noted.length === 0 ? {} : { notes: noted }
  const { approvals } = await ports.environmentSettings.get(place)
  if (rehearsal.starts && approvals > 0) return { answer: await waiting(ports, asked), notes }
  // Last of all: what is refused must not make an environment.
  const runner = known ?? (await environments.open(place))
  return { answer: await runner.desire(request, author, rehearsal.starts), notes }
}

/** What would start something waits for another person; what ends something does not. */
async function waiting(ports: DesiredRoutePorts, asked: Asked): Promise<Waiting> {
  const { place, release, policy, author, who, owner } = asked
  const at = ports.clock.now()
  const { requestKey } = who
  const wanted = { place, what: author.what, release, policy, owner, requestKey }
  const approval = await ports.approvals.ask(wanted, { ...author, at })
  const { app, environment } = place
  ports.announcements.announce({ app, environment, rollout: null })
  return { outcome: 'waiting', approval: approvalView(approval, at) }
}

/** @throws LockstepError `unknown-environment`, `fenced`, `not-promotable`, `bad-request`. */
function committedIn(environments: Environments, from: HostApp, to: HostApp): Release {
  if (from.environment === to.environment) {
    throw new LockstepError('bad-request', `${to.environment} cannot be promoted to itself`, {
      hint: 'Name two environments: `lockstep promote APP --from staging --to production`.',
    })
  }
  const { committed, fencedBy } = knownEnvironment(environments, from).state.record
  if (Object.keys(fencedBy).length > 0) {
    throw new LockstepError('fenced', `what ${from.environment} runs is not known: it is fenced`, {
      hint: `Recover it first: \`lockstep controller recover ${from.app} --env ${from.environment}\`.`,
    })
  }
  if (committed !== null) return committed
  throw new LockstepError('not-promotable', `nothing is committed in ${from.environment} yet`, {
    hint: `Deploy there first: \`lockstep deploy ${from.app} VERSION --env ${from.environment}\`.`,
  })
}

function namedIn(rollout: Rollout): Told {
  return { release: rollout.target }
}

/** For the rollout, and for the audit trail. */
function askedBy(
  request: Parameters<typeof authorOf>[0] & Pick<FastifyRequest, 'token'>,
  what: Requested['what'],
): Pick<Asked, 'who' | 'author' | 'owner'> {
  const key = request.headers['idempotency-key']
  const requestKey = typeof key === 'string' ? key : null
  return {
    who: { requestedBy: request.principal, requestKey },
    author: { what, ...authorOf(request) },
    owner: request.token?.owner ?? null,
  }
}

/** @throws LockstepError `rollout-open`, `nothing-to-return-to`, `unknown-version`. */
async function releaseToReturnTo(
  ports: DesiredRoutePorts,
  runner: EnvironmentRunner,
  place: HostApp,
  version: string | undefined,
): Promise<Release> {
  const { record } = runner.state
  if (openRolloutOf(record) !== null) {
    throw new LockstepError(
      'rollout-open',
      `a rollout to ${record.rollout?.target.version} is open`,
      {
        hint: 'To go back from it, cancel it: `lockstep cancel APP --env ENV`.',
      },
    )
  }
  if (version !== undefined) return ports.releases.reference(place.app, version)
  const before = await ports.history.releaseBefore(place, record.committed?.tree ?? null)
  if (before !== null) return before
  throw new LockstepError(
    'nothing-to-return-to',
    'no other release was ever committed here that has not failed since',
    {
      hint: 'Name the version to go to: `lockstep rollback APP --env ENV --to VERSION`.',
    },
  )
}
