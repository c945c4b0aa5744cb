// What a request for a release starts, or why it is refused: judged before anything is recorded.

import { limits } from '../limits.ts'
import { sameRelease } from '../release.ts'
import type { Answer, RequestedRequirement, RolloutRequest } from './events.ts'
import type { Participant, Requirement, Rollout } from './rollout.ts'
import type { EnvironmentRecord, Member } from './state.ts'

export type Plan =
  | { outcome: 'start'; rollout: Rollout }
  /** No host at all and that was allowed: committed at once, for those that join later. */
  | { outcome: 'commit'; rollout: Rollout }
  | { outcome: 'unchanged' }
  | { outcome: 'refused'; answer: Extract<Answer, { outcome: 'refused' }> }

/** The rollout that the request would start with nothing open. The same for a plan and the deed. */
export function planRollout(record: EnvironmentRecord, request: RolloutRequest, at: number): Plan {
  if (sameRelease(record.committed, request.release)) return { outcome: 'unchanged' }
  const members = Object.values(record.members)
  const stranger = Object.keys(request.exclude).find((host) => record.members[host] === undefined)
  if (stranger !== undefined) {
    return refused(
      'unknown-host',
      `host ${stranger} is not in ${nameOf(record)}`,
      'See `lockstep hosts`.',
    )
  }
  if (members.length === 0) {
    if (request.allowEmpty)
      return { outcome: 'commit', rollout: rolloutOf(record, request, [], at) }
    return refused(
      'no-hosts',
      `${nameOf(record)} has no hosts`,
      'Join a host first, or allow an empty environment.',
    )
  }
  const selected = members.filter((member) => request.exclude[member.host] === undefined)
  if (selected.length === 0) {
    return refused('nobody-selected', 'every host is excluded', 'Leave at least one host in.')
  }
  const hostsMin = hostsMinOf(request.requirement, selected.length)
  if (hostsMin !== null && (hostsMin < 1 || hostsMin > selected.length)) {
    return refused(
      'too-few-hosts',
      `${hostsMin} hosts are required and ${selected.length} take part`,
      'Require fewer hosts, or join more.',
    )
  }
  return { outcome: 'start', rollout: rolloutOf(record, request, selected, at) }
}

export function newParticipant(member: Member, state: Participant['state']): Participant {
  return {
    host: member.host,
    name: member.name,
    wave: 0,
    counted: false,
    state,
    attested: null,
    activation: null,
    failure: null,
    endPhase: null,
  }
}

/** P per cent rounds up; N is fixed here, at the request. */
function hostsMinOf(requirement: RequestedRequirement, participants: number): number | null {
  if (requirement.kind === 'all') return null
  if (requirement.kind === 'count') return requirement.value
  return Math.ceil((requirement.value * participants) / 100)
}

function rolloutOf(
  record: EnvironmentRecord,
  request: RolloutRequest,
  selected: readonly Member[],
  at: number,
): Rollout {
  const requirement: Requirement = {
    ...request.requirement,
    hostsMin: hostsMinOf(request.requirement, selected.length),
  }
  return {
    id: request.id,
    app: record.app,
    environment: record.environment,
    target: request.release,
    fallback: record.committed,
    phase: 'staging',
    reason: null,
    requirement,
    participants: Object.fromEntries(
      selected.map((member) => [member.host, newParticipant(member, 'participating')]),
    ),
    excluded: request.exclude,
    deadlineAt: at + Math.min(request.waitMs, limits.stageDeadlineMs),
    activateAt: null,
    phases: [{ phase: 'staging', at }],
    unknown: [],
    requestedBy: request.requestedBy,
    requestKey: request.requestKey,
  }
}

function nameOf(record: EnvironmentRecord): string {
  return `${record.app} in ${record.environment}`
}

function refused(
  code: Extract<Answer, { outcome: 'refused' }>['code'],
  message: string,
  hint: string,
): Plan {
  return { outcome: 'refused', answer: { outcome: 'refused', code, message, hint } }
}
