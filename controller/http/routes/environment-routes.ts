// Environments: what is desired and what runs there, what people decided about them, and the way out
// of being fenced.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import {
  FreezeBody,
  RecoverAnswer,
  RecoverBody,
  SettingsBody,
  SettingsView,
} from '#shared/api/requests.ts'
import { App, Environment, EnvironmentView } from '#shared/api/schemas.ts'
import type { Clock } from '#shared/clock.ts'
import { LockstepError } from '#shared/errors.ts'
import type { DatedAuthor } from '../../access/audit.ts'
import type { Announcements } from '../../runtime/announcements.ts'
import type { Environments } from '../../runtime/environments.ts'
import type {
  EnvironmentSettings,
  EnvironmentSettingStore,
  Freeze,
  SettingChange,
} from '../../store/environment-setting-store.ts'
import type { HostApp } from '../../store/host-store.ts'
import type { ReleaseStore } from '../../store/release-store.ts'
import type { LiveView } from '../../views/live-view.ts'
import { demand, seesOf } from '../access.ts'
import { authorOf } from '../author.ts'
import { refusal } from '../desired-answer.ts'
import { knownEnvironment } from '../known-environment.ts'

export interface EnvironmentRoutePorts {
  announcements: Announcements
  clock: Clock
  environments: Environments
  environmentSettings: EnvironmentSettingStore
  releases: ReleaseStore
  live: LiveView
}

const params = Type.Object({ app: App, environment: Environment })
const config = { access: { action: 'admin', scope: 'environment' } } as const
const settingsSchema = { tags: ['environments'], params, response: { 200: SettingsView } }

export function environmentRoutes(ports: EnvironmentRoutePorts): FastifyPluginAsyncTypebox {
  const { environments, releases, live } = ports
  return async (app) => {
    app.get(
      '/v1/apps/:app/environments/:environment',
      {
        config: { access: { action: 'read', scope: 'environment' } },
        schema: { tags: ['environments'], params, response: { 200: EnvironmentView } },
      },
      (request) => live.environment(request.params, seesOf(request)),
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
        const runner = knownEnvironment(environments, request.params)
        const answer = await runner.recover(release, authorOf(request))
        if (answer.outcome === 'refused') throw refusal(answer)
        return { environment: await live.environment(request.params, seesOf(request)) }
      },
    )
    settingRoutes(app, ports)
  }
}

function settingRoutes(
  app: Parameters<FastifyPluginAsyncTypebox>[0],
  ports: EnvironmentRoutePorts,
): void {
  app.post(
    '/v1/apps/:app/environments/:environment/freeze',
    { config, schema: { ...settingsSchema, body: FreezeBody } },
    (request) => {
      const { reason, owner = request.principal } = request.body
      const freeze = { reason, owner, by: request.principal, at: ports.clock.now() }
      return change(ports, request.params, (now) => frozen(request.params, now, freeze))
    },
  )
  app.delete(
    '/v1/apps/:app/environments/:environment/freeze',
    { config, schema: settingsSchema },
    (request) => {
      const author = { ...authorOf(request), at: ports.clock.now() }
      return change(ports, request.params, (now) => unfrozen(now, author))
    },
  )
  app.put(
    '/v1/apps/:app/environments/:environment/settings',
    { config, schema: { ...settingsSchema, body: SettingsBody } },
    async (request) => {
      const { requires, approvals, reason } = request.body
      if (requires === undefined && approvals === undefined) {
        throw new LockstepError('bad-request', 'nothing is set', {
          hint: 'Give requires, approvals or both.',
        })
      }
      if (typeof requires === 'string') {
        demand(request, 'read', { app: request.params.app, environment: requires })
        await checkRequired(ports, request.params, requires)
      }
      const { by, why } = authorOf(request)
      const author = { by, why: reason ?? why, at: ports.clock.now() }
      if (approvals !== undefined) {
        await change(ports, request.params, (now) =>
          now.approvals === approvals ? null : approved(now, approvals, author),
        )
      }
      return change(ports, request.params, (now) =>
        requires === undefined || now.requires === requires
          ? null
          : required(now, requires, author),
      )
    },
  )
}

async function change(
  ports: EnvironmentRoutePorts,
  place: HostApp,
  decide: (now: EnvironmentSettings) => SettingChange | null,
): Promise<EnvironmentSettings> {
  const runner = knownEnvironment(ports.environments, place)
  const settings = await ports.environmentSettings.change(place, decide)
  const { app, environment } = place
  ports.announcements.announce({
    app,
    environment,
    rollout: runner.state.record.rollout?.id ?? null,
  })
  return settings
}

/** Whoever froze it first holds it: another reason must not replace theirs unseen. */
function frozen(place: HostApp, now: EnvironmentSettings, freeze: Freeze): SettingChange | null {
  if (now.freeze !== null) {
    const { reason, owner } = now.freeze
    if (reason === freeze.reason && owner === freeze.owner) return null
    const { app, environment } = place
    throw new LockstepError('frozen', `${environment} is frozen by ${owner} already: ${reason}`, {
      hint: `Ask ${owner}, or end it: \`lockstep unfreeze ${app} --env ${environment}\`.`,
      details: { ...now.freeze },
    })
  }
  const { reason, owner, by, at } = freeze
  const text = `frozen by ${owner} (${by}): ${reason}`
  return {
    settings: { ...now, freeze },
    fact: { type: 'frozen', text, at },
    author: { by, why: reason },
    details: { owner },
  }
}

function unfrozen(now: EnvironmentSettings, { by, at, why }: DatedAuthor): SettingChange | null {
  if (now.freeze === null) return null
  const { owner, reason } = now.freeze
  const text = `unfrozen by ${by}; it was frozen by ${owner}: ${reason}`
  return {
    settings: { ...now, freeze: null },
    fact: { type: 'unfrozen', text, at },
    author: { by, why },
    details: { owner, reason },
  }
}

function required(
  now: EnvironmentSettings,
  requires: string | null,
  { by, at, why }: DatedAuthor,
): SettingChange {
  const because = why === null ? '' : `: ${why}`
  const what =
    requires === null
      ? `no longer requires that releases were committed in ${now.requires ?? 'another'} first`
      : `requires that releases were committed in ${requires} first`
  const text = `${what}, by ${by}${because}`
  return {
    settings: { ...now, requires },
    fact: { type: 'requirement-set', text, at },
    author: { by, why },
    details: { requires, was: now.requires },
  }
}

function approved(
  now: EnvironmentSettings,
  approvals: number,
  { by, at, why }: DatedAuthor,
): SettingChange {
  const because = why === null ? '' : `: ${why}`
  const what = approvals === 0 ? 'no longer needs' : 'needs'
  const text = `${what} the approval of another person, by ${by}${because}`
  return {
    settings: { ...now, approvals },
    fact: { type: 'approvals-set', text, at },
    author: { by, why },
    details: { approvals, was: now.approvals },
  }
}

/** @throws LockstepError `unknown-environment`, `bad-request` where no release could ever get in. */
async function checkRequired(
  ports: EnvironmentRoutePorts,
  { app, environment }: HostApp,
  requires: string,
): Promise<void> {
  knownEnvironment(ports.environments, { app, environment: requires })
  const chain = [environment]
  let next: string | null = requires
  while (next !== null) {
    const isRound = chain.includes(next)
    chain.push(next)
    if (isRound) {
      throw new LockstepError(
        'bad-request',
        `no release could get in: ${chain.join(' requires ')}`,
        {
          hint: 'Let the first environment of the chain require none.',
        },
      )
    }
    next = (await ports.environmentSettings.get({ app, environment: next })).requires
  }
}
