// What a request for a release starts, or why it is refused: judged before anything is recorded.

import { limits } from '../limits.ts'
import { sameRelease } from '../release.ts'
import type { Answer, RequestedRequirement, RolloutRequest } from './events.ts'
import type { Participant, Requirement, Rollout } from './rollout.ts'
import type { EnvironmentRecord, Member } from './state.ts'
import { planWaves, type WavePlan } from './waves.ts'

export type Plan =
  | { outcome: 'start'; rollout: Rollout }
  /** No host at all and that was allowed: committed at once, for those that join later. */
  | { outcome: 'commit'; rollout: Rollout }
  /** It is committed; hosts that were excluded and no longer are have to come to it. */
  | { outcome: 'include' }
  | { outcome: 'unchanged' }
  | { outcome: 'refused'; answer: Extract<Answer, { outcome: 'refused' }> }

/** The rollout that the request would start with nothing open. The same for a plan and the deed. */
export function planRollout(record: EnvironmentRecord, request: RolloutRequest, at: number): Plan {
  if (sameRelease(record.committed, request.release)) {
    const isExcluded = (host: string) => request.exclude[host] !== undefined
    const includes = Object.keys(record.excluded).some((host) => !isExcluded(host))
    return { outcome: includes ? 'include' : 'unchanged' }
  }
  const members = Object.values(record.members).filter(
    (member) => record.drained[member.host] === undefined,
  )
  const stranger = Object.keys(request.exclude).find((host) => record.members[host] === undefined)
  if (stranger !== undefined) {
    return refused(
      'unknown-host',
      `host ${stranger} is not in ${nameOf(record)}`,
      'See `lockstep hosts`.',
    )
  }
  if (members.length === 0) {
    const isEmpty = Object.keys(record.members).length === 0
    if (!isEmpty) {
      return refused('nobody-selected', 'every host is drained', 'Let at least one host in again.')
    }
    if (request.allowEmpty)
      return { outcome: 'commit', rollout: rolloutOf(record, request, [], singleWave, at) }
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
  const unsettled = unsettledOnce(record, request)
  if (unsettled !== null) return unsettled
  const waves = planWaves(selected, request.waves)
  if (waves.outcome === 'empty') {
    const name = request.waves[waves.wave]?.name ?? `number ${waves.wave + 1}`
    return refused(
      'nobody-selected',
      `the wave ${name} selects no host`,
      'Each wave takes of the hosts that no earlier one took; leave it out, or select otherwise.',
    )
  }
  return { outcome: 'start', rollout: rolloutOf(record, request, selected, waves, at) }
}

const singleWave = { waves: [{ name: null, soakMs: 0 }], waveOf: {} }

/** A run of which nobody knows how it ended is never repeated by itself. */
function unsettledOnce(record: EnvironmentRecord, request: RolloutRequest): Plan | null {
  const known = record.once[request.release.tree]
  if (known?.state !== 'unknown' || request.once === 'done') return null
  const host = known.host === null ? undefined : record.members[known.host]
  if (request.once === null) {
    const silent = host === undefined ? '' : `: ${host.name} did not say`
    return refused(
      'once-unknown',
      `whether the once run of ${request.release.version} ended well is not known${silent}`,
      'Look at what it was to change, then say `--once done` or `--once run`.',
    )
  }
  if (request.force || known.quiet || host === undefined) return null
  return refused(
    'once-running',
    `${host.name} has not said yet that nothing of the last once run is left`,
    'Wait for it, remove the host, or be sure and say `--force`.',
  )
}

export function newParticipant(
  member: Member,
  state: Participant['state'],
  wave: number,
): Participant {
  return {
    host: member.host,
    name: member.name,
    wave,
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
  { waves, waveOf }: Pick<Extract<WavePlan, { outcome: 'planned' }>, 'waves' | 'waveOf'>,
  at: number,
): Rollout {
  const requirement: Requirement = {
    ...request.requirement,
    hostsMin: hostsMinOf(request.requirement, selected.length),
  }
  const givenMs = Math.min(request.waitMs, limits.stageDeadlineMs)
  return {
    id: request.id,
    app: record.app,
    environment: record.environment,
    target: request.release,
    fallback: record.committed,
    phase: 'staging',
    reason: null,
    requirement,
    waves,
    wave: 0,
    between: null,
    once: request.once,
    participants: Object.fromEntries(
      selected.map((member) => [
        member.host,
        newParticipant(member, 'participating', waveOf[member.host] ?? 0),
      ]),
    ),
    excluded: request.exclude,
    deadlineAt: at + givenMs,
    givenMs,
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
