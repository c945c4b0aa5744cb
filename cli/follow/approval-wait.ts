// Waits until another person has decided about a request, and says what became of it.

import type { ApprovalView } from '#shared/api/requests.ts'
import type { RolloutView } from '#shared/api/schemas.ts'
import { limits } from '#shared/limits.ts'
import { approvalOf } from '../client/approvals.ts'
import type { ControllerClient } from '../client/controller-client.ts'
import { askPatiently, type PatienceOptions } from '../client/patience.ts'

export interface WaitOptions extends Omit<PatienceOptions, 'limitMs' | 'hasAnswered'> {
  readonly client: ControllerClient
}

/** @returns the rollout that was started; null where none was */
export async function approvedRollout(
  asked: ApprovalView,
  options: WaitOptions,
): Promise<RolloutView | null> {
  const { client, clock, say, signal } = options
  const patience = { ...options, limitMs: limits.followPatienceMs, hasAnswered: true }
  let now = asked
  while (now.state === 'waiting' || now.state === 'approving') {
    await clock.sleep(limits.pollEveryMs, signal)
    now = await askPatiently(() => approvalOf(client, asked, asked.id), patience)
  }
  const { rollout, state, decidedBy } = now
  say(`the request is ${state}${decidedBy === null ? '' : `, by ${decidedBy}`}`)
  return rollout === null ? null : askPatiently(() => client.rollout(rollout), patience)
}
