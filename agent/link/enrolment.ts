// Joining: the token and a proof of the key go to the controller once, its id comes back.

import { Value } from 'typebox/value'
import { EnrolAnswer } from '#shared/api/enrolment.ts'
import { LockstepError } from '#shared/errors.ts'
import { enrolmentBytes } from '#shared/wire/challenge.ts'
import type { Identity, Place } from './identity.ts'
import { requestJson } from './json-request.ts'

/**
 * Enrols the identity under `name` for every app, and stores that durably.
 * @throws LockstepError `unreachable`, `bad-join-token`, `join-not-allowed`, `name-taken`
 */
export async function enrol(
  identity: Identity,
  as: { controllerUrl: string; token: string; name: string; apps: readonly Place[] },
): Promise<void> {
  const { controllerUrl, token, name, apps } = as
  const { publicKey } = identity
  const enrolment = { token, name, publicKey, apps }
  const body = { ...enrolment, signature: identity.sign(enrolmentBytes(enrolment)) }
  const answer = await requestJson(controllerUrl, { method: 'POST', path: '/v1/enrol', body })
  if (!Value.Check(EnrolAnswer, answer)) {
    throw new LockstepError(
      'unreachable',
      `${controllerUrl} answered the enrolment with something else`,
    )
  }
  await identity.enrolled({ controller: answer.controller, name, apps })
}
