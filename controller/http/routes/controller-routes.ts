// The controller about itself: how it speaks, and the change of its certificate authority.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ControllerView, RotateBody } from '#shared/api/controller-schemas.ts'
import type { Clock } from '#shared/clock.ts'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import type { Author } from '../../access/audit.ts'
import type { SessionRegistry } from '../../sessions/session-registry.ts'
import type { AuditStore } from '../../store/audit-store.ts'
import type { HostStore } from '../../store/host-store.ts'
import type { ControllerTls } from '../../tls/controller-tls.ts'
import { authorOf } from '../author.ts'

export interface ControllerRoutePorts {
  controllerId: string
  version: string
  tls: ControllerTls
  audit: AuditStore
  hosts: HostStore
  sessions: SessionRegistry
  clock: Clock
}

export function controllerRoutes(ports: ControllerRoutePorts): FastifyPluginAsyncTypebox {
  return async (app) => {
    const answers = { tags: ['controller'], response: { 200: ControllerView } }
    app.get(
      '/v1/controller',
      { config: { access: { action: 'read', scope: 'none' } }, schema: answers },
      async () => viewOf(ports),
    )
    app.post(
      '/v1/controller/rotate-ca',
      {
        // It is every app's controller: an admin of one of them may not shut the others' hosts out.
        config: { access: { action: 'admin', scope: 'everything' } },
        schema: { ...answers, body: RotateBody },
      },
      async (request) => {
        const { finish = false, force = false } = request.body
        if (finish && !force) await refuseToShutOut(ports)
        await recordRotation(ports, authorOf(request), finish)
        if (finish) await ports.tls.takeNextAuthority()
        else await ports.tls.prepareNextAuthority()
        return viewOf(ports)
      },
    )
  }
}

/**
 * A host that has not heard of the next authority would never believe it.
 * @throws LockstepError `pin-not-stored`
 */
async function refuseToShutOut({ tls, hosts, sessions }: ControllerRoutePorts): Promise<void> {
  const [, next] = tls.pins()
  if (next === undefined) return
  const without = (await hosts.list())
    .filter(({ id }) => sessions.of(id)?.pins.includes(next) !== true)
    .map(({ name }) => name)
  if (without.length === 0) return
  const shown = without.slice(0, limits.namesShown).join(', ')
  const others = without.length - limits.namesShown
  const rest = others > 0 ? ` and ${others} more` : ''
  const message = `not known to have stored the next authority\u2019s pin: ${shown}${rest}`
  throw new LockstepError('pin-not-stored', message, {
    hint:
      'A host stores it as soon as it is connected. Wait for them, remove those that are gone, or ' +
      '--force: they then need it as `pin` in agent.toml.',
    details: { hosts: without.slice(0, limits.pageItemsMax), next },
  })
}

/**
 * Before it is done, for its files are in no transaction: what is recorded may not have come about,
 * but nothing comes about that is not recorded. Nothing where it is refused anyway.
 */
async function recordRotation(
  { tls, audit, clock }: ControllerRoutePorts,
  { by, why }: Author,
  finish: boolean,
): Promise<void> {
  const pins = tls.pins()
  if (tls.mode !== 'own-ca' || (finish && pins.length < 2)) return
  const step = finish ? 'finish' : 'prepare'
  const deed = { who: by, what: 'rotate-ca', why, outcome: 'done' as const }
  await audit.record({ at: clock.now(), ...deed, details: { step, pins: [...pins] } })
}

function viewOf({ controllerId, version, tls }: ControllerRoutePorts): ControllerView {
  return {
    id: controllerId,
    version,
    tls: {
      mode: tls.mode,
      pins: [...tls.pins()],
      certificates: tls.caPem(),
      expiresAt: tls.expiresAt(),
    },
    warnings: [...tls.warnings()],
  }
}
