// Single rollouts: how one goes, and the requests that concern the one that is open.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { DesiredAnswer } from '#shared/api/requests.ts'
import { App, Environment, RolloutList, RolloutView } from '#shared/api/schemas.ts'
import type { Answer } from '#shared/environment/events.ts'
import type { Author } from '../../access/audit.ts'
import type { Action } from '../../access/permission.ts'
import type { EnvironmentRunner } from '../../runtime/environment-runner.ts'
import type { Environments } from '../../runtime/environments.ts'
import type { HistoryStore } from '../../store/history-store.ts'
import type { LiveView } from '../../views/live-view.ts'
import type { Scope } from '../access.ts'
import { authorOf } from '../author.ts'
import { sendAnswer } from '../desired-answer.ts'
import { knownEnvironment } from '../known-environment.ts'
import { listed, pageOf } from '../paging.ts'
import { pageQuery, queryOf } from '../query.ts'

export interface RolloutRoutePorts {
  environments: Environments
  history: HistoryStore
  live: LiveView
}

const params = Type.Object({ id: Type.String() })
const of = (action: Action, scope: Scope) => ({ access: { action, scope } })

export function rolloutRoutes(ports: RolloutRoutePorts): FastifyPluginAsyncTypebox {
  const { environments, history, live } = ports
  return async (app) => {
    app.get(
      '/v1/apps/:app/environments/:environment/rollouts',
      {
        config: of('read', 'environment'),
        schema: {
          tags: ['rollouts'],
          params: Type.Object({ app: App, environment: Environment }),
          querystring: queryOf(pageQuery),
          response: { 200: RolloutList },
        },
      },
      async (request) => {
        const { params: place } = request
        knownEnvironment(environments, place)
        const page = pageOf(request.query)
        const items = await history.rollouts(place, page.limit, page.after)
        const failed = await history.failed(place)
        const marks = new Map(failed.map(({ release, mark }) => [release.tree, mark]))
        return listed(
          page,
          items,
          ({ rollout }) => ({
            ...live.rollout(rollout),
            targetFailed: marks.get(rollout.target.tree) ?? null,
          }),
          ({ number }) => number,
        )
      },
    )
    app.get(
      '/v1/rollouts/:id',
      {
        config: of('read', 'rollout'),
        schema: { tags: ['rollouts'], params, response: { 200: RolloutView } },
      },
      (request) => live.rolloutById(request.params.id),
    )
    for (const [word, ask] of Object.entries(asks)) {
      app.post(
        `/v1/rollouts/:id/${word}`,
        {
          config: of('deploy', 'rollout'),
          schema: { tags: ['rollouts'], params, response: { 200: DesiredAnswer } },
        },
        async (request, reply) => {
          const { id } = request.params
          const runner = knownEnvironment(environments, await live.rolloutById(id))
          return sendAnswer(reply, live, await ask(runner, id, authorOf(request)))
        },
      )
    }
  }
}

type Ask = (runner: EnvironmentRunner, id: string, author: Author) => Promise<Answer>

/** What can be asked of an open rollout, by the last segment of the address. */
const asks: Readonly<Record<string, Ask>> = {
  cancel: (runner, id, author) => runner.cancel(id, author),
  continue: (runner, id, author) => runner.goOn(id, author),
  pause: (runner, id, author) => runner.pause(id, author),
}
