// Environments and rollouts: what is desired, what runs, and the requests that change it.

import { randomUUID } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import {
  App,
  DesiredAnswer,
  type DesiredBody,
  DesiredBody as DesiredBodySchema,
  Environment,
  EnvironmentView,
  RecoverAnswer,
  RecoverBody,
  RollbackBody,
  RolloutList,
  RolloutView,
} from '#shared/api/schemas.ts'
import { LockstepError } from '#shared/errors.ts'
import type { Answer, RolloutRequest } from '#shared/environment/events.ts'
import type { Rollout } from '#shared/environment/rollout.ts'
import { limits } from '#shared/limits.ts'
import { openRolloutOf } from '#shared/environment/state.ts'
import type { Release } from '#shared/release.ts'
import type { EnvironmentRunner } from '../../runtime/environment-runner.ts'
import type { Environments } from '../../runtime/environments.ts'
import type { HistoryStore } from '../../store/history-store.ts'
import type { HostApp, HostStore } from '../../store/host-store.ts'
import type { ReleaseStore } from '../../store/release-store.ts'
import type { LiveView } from '../../views/live-view.ts'
import { listed, pageOf } from '../paging.ts'
import { pageQuery, queryOf } from '../query.ts'
import { requirementOf } from '../requirement.ts'

export interface EnvironmentRoutePorts {
  environments: Environments
  releases: ReleaseStore
  hosts: HostStore
  history: HistoryStore
  live: LiveView
}

const params = Type.Object({ app: App, environment: Environment })
const headers = Type.Object({
  'idempotency-key': Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
})
const answers = { 200: DesiredAnswer, 202: DesiredAnswer }
const config = { access: 'admin' as const }

export function environmentRoutes(ports: EnvironmentRoutePorts): FastifyPluginAsyncTypebox {
  const { environments, releases, live } = ports
  return async (app) => {
    app.put(
      '/v1/apps/:app/environments/:environment/desired',
      {
        config,
        schema: {
          tags: ['environments'],
          params,
          headers,
          body: DesiredBodySchema,
          response: answers,
        },
      },
      async (request, reply) => {
        const release = await releases.reference(request.params.app, request.body.version)
        const rollout = await requestOf(ports, request.body, release, whoOf(request))
        // Last of all: what is refused must not make an environment.
        const runner = await runnerOf(environments, request.params, request.body)
        return sendAnswer(reply, live, await runner.desire(rollout))
      },
    )
    app.post(
      '/v1/apps/:app/environments/:environment/rollback',
      {
        config,
        schema: { tags: ['environments'], params, headers, body: RollbackBody, response: answers },
      },
      async (request, reply) => {
        const runner = await runnerOf(environments, request.params, {})
        const { version } = request.body
        const who = whoOf(request)
        // Once the first is under way or over, the way back from here is another one.
        const isSame = ({ target }: Rollout) => version === undefined || version === target.version
        const first = await runner.firstOf(who.requestKey, isSame)
        if (first !== null) return sendAnswer(reply, live, { outcome: 'open', rollout: first })
        const release = await releaseToReturnTo(ports, runner, request.params, version)
        const rollout = await requestOf(ports, { version: release.version }, release, who)
        return sendAnswer(reply, live, await runner.desire(rollout))
      },
    )
    app.post(
      '/v1/apps/:app/environments/:environment/recover',
      {
        config,
        schema: {
          tags: ['environments'],
          params,
          body: RecoverBody,
          response: { 200: RecoverAnswer },
        },
      },
      async (request) => {
        const { run } = request.body
        const release = run === undefined ? null : await releases.reference(request.params.app, run)
        const runner = await runnerOf(environments, request.params, {})
        const answer = await runner.recover(release)
        if (answer.outcome === 'refused') throw refusal(answer)
        return { environment: await live.environment(request.params) }
      },
    )
    readRoutes(app, ports)
  }
}

function readRoutes(
  app: Parameters<FastifyPluginAsyncTypebox>[0],
  { environments, history, live }: EnvironmentRoutePorts,
): void {
  app.get(
    '/v1/apps/:app/environments/:environment',
    { config, schema: { tags: ['environments'], params, response: { 200: EnvironmentView } } },
    (request) => live.environment(request.params),
  )
  app.get(
    '/v1/apps/:app/environments/:environment/rollouts',
    {
      config,
      schema: {
        tags: ['rollouts'],
        params,
        querystring: queryOf(pageQuery),
        response: { 200: RolloutList },
      },
    },
    async (request) => {
      await runnerOf(environments, request.params, {})
      const page = pageOf(request.query)
      const items = await history.rollouts(request.params, page.limit, page.after)
      return listed(
        page,
        items,
        ({ rollout }) => live.rollout(rollout),
        ({ number }) => number,
      )
    },
  )
  app.get(
    '/v1/rollouts/:id',
    {
      config,
      schema: {
        tags: ['rollouts'],
        params: Type.Object({ id: Type.String() }),
        response: { 200: RolloutView },
      },
    },
    (request) => live.rolloutById(request.params.id),
  )
  app.post(
    '/v1/rollouts/:id/cancel',
    {
      config,
      schema: {
        tags: ['rollouts'],
        params: Type.Object({ id: Type.String() }),
        response: { 200: DesiredAnswer },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const rollout = await live.rolloutById(id)
      const runner = await runnerOf(environments, rollout, {})
      return sendAnswer(reply, live, await runner.cancel(id))
    },
  )
}

/** @throws LockstepError `unknown-environment`: a mistyped name must not make one. */
async function runnerOf(
  environments: Environments,
  place: HostApp,
  body: Pick<DesiredBody, 'allowEmpty'>,
): Promise<EnvironmentRunner> {
  const runner = environments.of(place)
  if (runner !== null) return runner
  if (body.allowEmpty === true) return environments.open(place)
  throw new LockstepError(
    'unknown-environment',
    `${place.app} has no environment ${place.environment}`,
    {
      hint: 'Join a host to it first, or allow an empty environment (--allow-empty).',
    },
  )
}

function whoOf(request: {
  principal: string
  headers: { 'idempotency-key'?: string }
}): Pick<RolloutRequest, 'requestedBy' | 'requestKey'> {
  return {
    requestedBy: request.principal,
    requestKey: request.headers['idempotency-key'] ?? null,
  }
}

async function requestOf(
  ports: EnvironmentRoutePorts,
  body: DesiredBody,
  release: Release,
  who: Pick<RolloutRequest, 'requestedBy' | 'requestKey'>,
): Promise<RolloutRequest> {
  return {
    id: randomUUID(),
    release,
    requirement: requirementOf(body.require ?? 'all'),
    waitMs: body.waitMs ?? limits.stageDeadlineMs,
    exclude: await excludedIds(ports.hosts, body.exclude ?? {}),
    allowEmpty: body.allowEmpty ?? false,
    waves: [],
    once: null,
    force: false,
    ...who,
  }
}

/** Hosts are excluded by name. @throws LockstepError `unknown-host`. */
async function excludedIds(
  hosts: HostStore,
  byName: Readonly<Record<string, string>>,
): Promise<Record<string, string>> {
  if (Object.keys(byName).length === 0) return {}
  const ids = new Map((await hosts.list()).map((host) => [host.name, host.id]))
  return Object.fromEntries(
    Object.entries(byName).map(([name, reason]) => {
      const id = ids.get(name)
      if (id !== undefined) return [id, reason]
      throw new LockstepError('unknown-host', `there is no host ${name}`, {
        hint: 'See `lockstep hosts`.',
      })
    }),
  )
}

/** @throws LockstepError `rollout-open`, `nothing-to-return-to`, `unknown-version`. */
async function releaseToReturnTo(
  ports: EnvironmentRoutePorts,
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
  const last = await ports.history.lastCommittedBut(place, record.committed?.tree ?? null)
  if (last !== null) return last.target
  throw new LockstepError('nothing-to-return-to', 'no other release was ever committed here', {
    hint: 'Name the version to go to: `lockstep rollback APP --env ENV --to VERSION`.',
  })
}

function sendAnswer(reply: FastifyReply, live: LiveView, answer: Answer) {
  switch (answer.outcome) {
    case 'started':
    case 'returned':
      return reply
        .code(202)
        .send({ outcome: answer.outcome, rollout: live.rollout(answer.rollout) })
    case 'open':
    case 'cancelled':
    case 'continued':
    case 'paused':
      return reply
        .code(200)
        .send({ outcome: answer.outcome, rollout: live.rollout(answer.rollout) })
    case 'unchanged':
      return reply.code(200).send({ outcome: answer.outcome, rollout: null })
    case 'drained':
    case 'recovered':
      throw new Error('this is no answer to this request')
    case 'refused':
      throw refusal(answer)
  }
}

function refusal(answer: Extract<Answer, { outcome: 'refused' }>): LockstepError {
  const { code, message, hint, details } = answer
  return new LockstepError(code, message, { hint, ...(details === undefined ? {} : { details }) })
}
