// The controller's challenge, asked before everything that the agent signs.

import { Value } from 'typebox/value'
import { ChallengeAnswer } from '#shared/api/enrolment.ts'
import { LockstepError } from '#shared/errors.ts'
import type { ControllerChannel } from './controller-channel.ts'
import type { Identity } from './identity.ts'
import { requestJson } from './json-request.ts'

/** @throws LockstepError `unreachable`, also for another controller than the one that it joined */
export async function askForChallenge(
  channel: ControllerChannel,
  identity: Identity,
  signal?: AbortSignal,
): Promise<ChallengeAnswer> {
  const { url } = channel
  const path = '/v1/agent/challenge'
  const call = { method: 'GET', path, ...(signal === undefined ? {} : { signal }) } as const
  const answer = await requestJson(channel, call)
  if (!Value.Check(ChallengeAnswer, answer)) {
    throw new LockstepError('unreachable', `${url} is no Lockstep controller`, {
      hint: 'Look at `controller` in agent.toml.',
    })
  }
  if (identity.controller === null || answer.controller === identity.controller) return answer
  throw new LockstepError('unreachable', `${url} is another controller than we joined`, {
    hint:
      'Look at `controller` in agent.toml. To join this one: stop the agent, remove ' +
      'identity.json from its state directory and start it with a join token.',
  })
}
