// The controller about itself: how it speaks, and the change of its certificate authority.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ControllerView, RotateBody } from '#shared/api/controller-schemas.ts'
import type { ControllerTls } from '../../tls/controller-tls.ts'

export interface ControllerRoutePorts {
  controllerId: string
  version: string
  tls: ControllerTls
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
        if (request.body.finish === true) await ports.tls.takeNextAuthority()
        else await ports.tls.prepareNextAuthority()
        return viewOf(ports)
      },
    )
  }
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
