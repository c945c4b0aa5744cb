// A request that waits for another person, as the API shows it. Pure.

import type { ApprovalView } from '#shared/api/requests.ts'
import type { Approval } from '../store/approval-store.ts'

/** One that nobody decided in time has expired; nothing has to happen for that. */
export function approvalView(approval: Approval, at: number): ApprovalView {
  const { requestKey: _, policy, state, ...rest } = approval
  const isLate = state === 'waiting' && approval.expiresAt <= at
  return { ...rest, policy: { ...policy }, state: isLate ? 'expired' : state }
}
