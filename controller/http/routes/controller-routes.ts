// The controller about itself: how it speaks, and the change of its certificate authority.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ControllerView, RotateBody } from '#shared/api/controller-schemas.ts'
import type { Clock } from '#shared/clock.ts'
import type { Author } from '../../access/audit.ts'
import type { AuditStore } from '../../store/audit-store.ts'
import type { ControllerTls } from '../../tls/controller-tls.ts'
import { authorOf } from '../author.ts'

export interface ControllerRoutePorts {
  controllerId: string
  version: string
  tls: ControllerTls
  audit: AuditStore
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
        const { finish = false } = request.body
        await recordRotation(ports, authorOf(request), finish)
        if (finish) await ports.tls.takeNextAuthority()
        else await ports.tls.prepareNextAuthority()
        return viewOf(ports)
      },
    )
  }
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
