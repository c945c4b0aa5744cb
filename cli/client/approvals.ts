// What waits for another person's approval, as the controller's API says it.

import { ApprovalList, ApprovalView, DesiredAnswer } from '#shared/api/requests.ts'
import { pathOf, type Place } from './api-path.ts'
import type { ControllerClient } from './controller-client.ts'

export function approvalsOf(client: ControllerClient, place: Place): Promise<ApprovalList> {
  return client.read(`${pathOf(place)}/approvals`, ApprovalList)
}

export function approvalOf(
  client: ControllerClient,
  place: Place,
  id: string,
): Promise<ApprovalView> {
  return client.read(approvalPath(place, id), ApprovalView)
}

export function approve(
  client: ControllerClient,
  place: Place,
  id: string,
): Promise<DesiredAnswer> {
  return client.write('POST', `${approvalPath(place, id)}/approve`, {}, DesiredAnswer)
}

export function withdraw(
  client: ControllerClient,
  place: Place,
  id: string,
): Promise<ApprovalView> {
  return client.write('POST', `${approvalPath(place, id)}/withdraw`, {}, ApprovalView)
}

function approvalPath(place: Place, id: string): string {
  return `${pathOf(place)}/approvals/${encodeURIComponent(id)}`
}
