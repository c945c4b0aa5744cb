// Joining: the token and a proof of the key go to the controller once, its id comes back.

import { Value } from 'typebox/value'
import { EnrolAnswer } from '#shared/api/enrolment.ts'
import { LockstepError } from '#shared/errors.ts'
import { enrolmentBytes } from '#shared/wire/challenge.ts'
import { askForChallenge } from './challenge.ts'
import type { ControllerChannel } from './controller-channel.ts'
import type { Identity, Place } from './identity.ts'
import { requestJson } from './json-request.ts'

export interface Joining {
  /** Already to the holder of the token's pin. */
  readonly channel: ControllerChannel
  readonly token: string
  readonly name: string
  readonly apps: readonly Place[]
  /** What is stored to find back with; none where the host's owner configured them. */
  readonly pins: readonly string[]
}

/**
 * Enrols the identity under `name` for every app, and stores that durably.
 * @throws LockstepError `unreachable`, `wrong-pin`, `bad-join-token`, `join-not-allowed`,
 *   `name-taken`, `cloned-identity`
 */
export async function enrol(identity: Identity, joining: Joining): Promise<void> {
  const { channel, token, name, apps, pins } = joining
  const { publicKey } = identity
  const { nonce, controller } = await askForChallenge(channel, identity)
  const enrolment = { token, name, publicKey, apps, nonce }
  const body = (exporter: string) => {
    const signature = identity.sign(enrolmentBytes({ ...enrolment, controller, exporter }))
    return { ...enrolment, signature }
  }
  const answer = await requestJson(channel, { method: 'POST', path: '/v1/enrol', body })
  if (!Value.Check(EnrolAnswer, answer)) {
    throw new LockstepError(
      'unreachable',
      `${channel.url} answered the enrolment with something else`,
    )
  }
  await identity.enrolled({ controller: answer.controller, name, apps, pins })
}
