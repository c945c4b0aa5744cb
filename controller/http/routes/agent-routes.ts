// What an agent asks before it has a session: a challenge to sign, and to be enrolled.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ChallengeAnswer, EnrolAnswer, EnrolBody } from '#shared/api/enrolment.ts'
import type { Clock } from '#shared/clock.ts'
import { LockstepError } from '#shared/errors.ts'
import { type Challenges, checkEnrolment } from '../../access/agent-identity.ts'
import { exporterOf } from '../../access/channel-binding.ts'
import type { Environments } from '../../runtime/environments.ts'
import { clonedIdentity, type SessionRegistry } from '../../sessions/session-registry.ts'
import type { HostStore } from '../../store/host-store.ts'
import { parseJoinToken } from '../../store/token-store.ts'
import type { ControllerTls } from '../../tls/controller-tls.ts'

export interface AgentRoutePorts {
  controllerId: string
  clock: Clock
  challenges: Challenges
  environments: Environments
  sessions: SessionRegistry
  hosts: HostStore
  tls: ControllerTls
}

const config = { access: 'agent' } as const

export function agentRoutes(ports: AgentRoutePorts): FastifyPluginAsyncTypebox {
  const { challenges, clock, controllerId: controller, environments, hosts, sessions } = ports
  return async (app) => {
    app.get(
      '/v1/agent/challenge',
      { config, schema: { tags: ['agents'], response: { 200: ChallengeAnswer } } },
      async () => ({ nonce: challenges.draw(), controller }),
    )
    app.post(
      '/v1/enrol',
      { config, schema: { tags: ['agents'], body: EnrolBody, response: { 201: EnrolAnswer } } },
      async (request, reply) => {
        const { token, name, publicKey, apps, ...proof } = request.body
        const isFresh = challenges.use(proof.nonce)
        const here = { controller, exporter: exporterOf(request.raw.socket) }
        const { host: id } = checkEnrolment(request.body, here)
        if (!isFresh) throw staleChallenge()
        if (sessions.isCloned(id)) throw clonedIdentity({ name })
        const { pin, ...used } = parseJoinToken(token)
        checkPin(pin, ports.tls.pins())
        const candidate = { id, name, publicKey, apps, enrolledAt: clock.now() }
        await environments.join(await hosts.enrol(candidate, used))
        if ((await hosts.get(id)) === null) {
          // Removed meanwhile: nobody would ever take it out of its environments again.
          environments.remove(id)
          throw removedMeanwhile()
        }
        return reply.code(201).send({ host: id, controller })
      },
    )
  }
}

/**
 * A token without the pin, or with another, has not kept its agent from showing it to somebody else.
 * @param pins none where this controller speaks no TLS itself, and so has none to check
 * @throws LockstepError `bad-join-token`
 */
function checkPin(pin: string | null, pins: readonly string[]): void {
  if (pins.length === 0 || (pin !== null && pins.includes(pin))) return
  const what = pin === null ? 'has no pin' : 'has the pin of another key'
  throw new LockstepError(
    'bad-join-token',
    `the join token ${what}, so this controller refuses it`,
    {
      hint: 'Use it whole, as `lockstep token create --join` prints it, or make a new one.',
    },
  )
}

function staleChallenge(): LockstepError {
  return new LockstepError('bad-signature', 'the challenge was used before, or is too old', {
    hint: 'The agent asks for another by itself.',
  })
}

function removedMeanwhile(): LockstepError {
  return new LockstepError('unknown-host', 'this host was removed while it joined', {
    hint: 'Join it again with a new token if that was a mistake.',
  })
}
