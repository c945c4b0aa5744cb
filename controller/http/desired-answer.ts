// What the machine answered, as a reply: the same words for every request for a release.

import type { FastifyReply } from 'fastify'
import type { ApprovalView, DesiredAnswer } from '#shared/api/requests.ts'
import type { Answer } from '#shared/environment/events.ts'
import { LockstepError } from '#shared/errors.ts'
import type { LiveView } from '../views/live-view.ts'

/** Another person has to approve it first. */
export interface Waiting {
  readonly outcome: 'waiting'
  readonly approval: ApprovalView
}

export type Told = Pick<DesiredAnswer, 'release' | 'notes'>

/** @param told what is said besides; empty where there is nothing */
export function sendAnswer(
  reply: FastifyReply,
  live: LiveView,
  answer: Answer | Waiting,
  told: Told = {},
) {
  const { outcome } = answer
  switch (outcome) {
    case 'started':
    case 'returned':
      return reply.code(202).send({ outcome, rollout: live.rollout(answer.rollout), ...told })
    case 'open':
    case 'cancelled':
    case 'continued':
    case 'paused':
      return reply.code(200).send({ outcome, rollout: live.rollout(answer.rollout), ...told })
    case 'waiting': {
      const { approval } = answer
      const { release } = approval
      return reply.code(202).send({ outcome, rollout: null, approval, release, ...told })
    }
    case 'unchanged':
      return reply.code(200).send({ outcome, rollout: null, ...told })
    case 'drained':
    case 'recovered':
      throw new Error('this is no answer to this request')
    case 'refused':
      throw refusal(answer)
  }
}

export function refusal(answer: Extract<Answer, { outcome: 'refused' }>): LockstepError {
  const { code, message, hint, details } = answer
  return new LockstepError(code, message, { hint, ...(details === undefined ? {} : { details }) })
}
