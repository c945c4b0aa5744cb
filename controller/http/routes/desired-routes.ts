// Requests for a release: deploy, rollback and promote. Each is one rollout at most, however often it
// is repeated under one Idempotency-Key.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import {
  DesiredAnswer,
  DesiredBody,
  type Policy,
  PromoteBody,
  RollbackBody,
} from '#shared/api/requests.ts'
import { App, Environment } from '#shared/api/schemas.ts'
import type { Clock } from '#shared/clock.ts'
import { LockstepError } from '#shared/errors.ts'
import type { RolloutRequest } from '#shared/environment/events.ts'
import type { Rollout } from '#shared/environment/rollout.ts'
import { emptyRecord, openRolloutOf } from '#shared/environment/state.ts'
import type { Release } from '#shared/release.ts'
import { admissionRefusal } from '../../runtime/admission.ts'
import type { EnvironmentRunner } from '../../runtime/environment-runner.ts'
import type { Environments } from '../../runtime/environments.ts'
import { rehearse } from '../../runtime/rehearsal.ts'
import type { EnvironmentSettingStore } from '../../store/environment-setting-store.ts'
import type { HistoryStore } from '../../store/history-store.ts'
import type { HostApp } from '../../store/host-store.ts'
import type { ReleaseStore } from '../../store/release-store.ts'
import type { LiveView } from '../../views/live-view.ts'
import { sendAnswer, type Told } from '../desired-answer.ts'
import { knownEnvironment } from '../known-environment.ts'
import { requestedRollout, type Requester } from '../requested-rollout.ts'

export interface DesiredRoutePorts {
  clock: Clock
  environments: Environments
  releases: ReleaseStore
  history: HistoryStore
  environmentSettings: EnvironmentSettingStore
  live: LiveView
}

const params = Type.Object({ app: App, environment: Environment })
const headers = Type.Object({
  'idempotency-key': Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
})
const response = { 200: DesiredAnswer, 202: DesiredAnswer }
const config = { access: 'admin' as const }
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
        const asked = { place, release, policy, who: whoOf(request) }
        const { answer, notes } = await ask(ports, asked)
        return sendAnswer(reply, live, answer, notes)
      },
    )
    app.post(
      '/v1/apps/:app/environments/:environment/promote',
      { config, schema: { ...common, body: PromoteBody } },
      async (request, reply) => {
        const { params: place, body } = request
        const { from, ...policy } = body
        const who = whoOf(request)
        const first = await environments.of(place)?.firstOf(who.requestKey, () => true)
        if (first !== null && first !== undefined) {
          return sendAnswer(reply, live, { outcome: 'open', rollout: first }, namedIn(first))
        }
        // What is committed at this instant is what moves, whatever becomes of `from` meanwhile.
        const release = committedIn(environments, { app: place.app, environment: from }, place)
        const { answer, notes } = await ask(ports, { place, release, policy, who })
        return sendAnswer(reply, live, answer, { release, ...notes })
      },
    )
    app.post(
      '/v1/apps/:app/environments/:environment/rollback',
      { config, schema: { ...common, body: RollbackBody } },
      async (request, reply) => {
        const { params: place } = request
        const runner = knownEnvironment(environments, place)
        const { version } = request.body
        const who = whoOf(request)
        // Once the first is under way or over, the way back from here is another one.
        const isSame = ({ target }: Rollout) => version === undefined || version === target.version
        const first = await runner.firstOf(who.requestKey, isSame)
        if (first !== null) {
          return sendAnswer(reply, live, { outcome: 'open', rollout: first }, namedIn(first))
        }
        const release = await releaseToReturnTo(ports, runner, place, version)
        const { answer, notes } = await ask(ports, { place, release, policy: {}, who })
        return sendAnswer(reply, live, answer, { release, ...notes })
      },
    )
  }
}

interface Asked {
  readonly place: HostApp
  readonly release: Release
  readonly policy: Policy
  readonly who: Requester
}

/** Asks the machine, unless people decided otherwise. @throws LockstepError the refusal. */
async function ask(ports: DesiredRoutePorts, asked: Asked) {
  const { environments, live } = ports
  const { place, release, policy, who } = asked
  const known = policy.allowEmpty === true ? null : knownEnvironment(environments, place)
  const isSame = ({ target }: Rollout) => target.tree === release.tree
  const first = await (known ?? environments.of(place))?.firstOf(who.requestKey, isSame)
  if (first !== null && first !== undefined) {
    return { answer: { outcome: 'open' as const, rollout: first }, notes: {} }
  }
  const request = await requestedRollout(live, place, release, { policy, who })
  const refusal = await refusalOf(ports, place, request)
  if (refusal !== null) throw refusal
  const notes = await notesOn(ports.history, place, release)
  // Last of all: what is refused must not make an environment.
  const runner = known ?? (await environments.open(place))
  return { answer: await runner.desire(request), notes }
}

/** Only what would start something is held up: repeats, cancels and returns are not. */
async function refusalOf(
  ports: Pick<DesiredRoutePorts, 'clock' | 'environments' | 'history' | 'environmentSettings'>,
  place: HostApp,
  request: RolloutRequest,
): Promise<LockstepError | null> {
  const { environments, history, environmentSettings, clock } = ports
  const { app, environment } = place
  const nothing = { record: emptyRecord(app, environment), sessions: {} }
  const stateOf = () => environments.of(place)?.state ?? nothing
  if (!rehearse(stateOf(), request, clock.now()).starts) return null
  const { release } = request
  const settings = await environmentSettings.get(place)
  const { requires } = settings
  const there = requires === null ? null : { app, environment: requires }
  const refused = admissionRefusal({
    place,
    release,
    settings,
    wasCommittedThere:
      there !== null &&
      (environments.of(there)?.state.record.committed?.tree === release.tree ||
        (await history.wasCommitted(there, release.tree))),
    wasCommittedHere: requires !== null && (await history.wasCommitted(place, release.tree)),
  })
  if (refused === null) return null
  const { code, message, hint, details } = refused
  return new LockstepError(code, message, { hint, details })
}

async function notesOn(history: HistoryStore, place: HostApp, release: Release): Promise<Told> {
  const failed = await history.failed(place)
  const known = failed.find((candidate) => candidate.release.tree === release.tree)
  if (known === undefined) return {}
  const why = known.mark.reason ?? 'failed'
  const note = `${release.version} failed in ${place.environment} before (${why}, ${known.mark.rollout})`
  return { notes: [note] }
}

/** @throws LockstepError `unknown-environment`, `not-promotable`, `bad-request`. */
function committedIn(environments: Environments, from: HostApp, to: HostApp): Release {
  if (from.environment === to.environment) {
    throw new LockstepError('bad-request', `${to.environment} cannot be promoted to itself`, {
      hint: 'Name two environments: `lockstep promote APP --from staging --to production`.',
    })
  }
  const { committed } = knownEnvironment(environments, from).state.record
  if (committed !== null) return committed
  throw new LockstepError('not-promotable', `nothing is committed in ${from.environment} yet`, {
    hint: `Deploy there first: \`lockstep deploy ${from.app} VERSION --env ${from.environment}\`.`,
  })
}

function namedIn(rollout: Rollout): Told {
  return { release: rollout.target }
}

function whoOf(request: { principal: string; headers: { 'idempotency-key'?: string } }): Requester {
  return {
    requestedBy: request.principal,
    requestKey: request.headers['idempotency-key'] ?? null,
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
