// A rollout as the API shows it: what is recorded, with what is heard of each host now. Pure.

import type { ParticipantView, RolloutView } from '#shared/api/schemas.ts'
import {
  exitCodeOf,
  isOpen,
  type Participant,
  participantsOf,
  type Requirement,
  type Rollout,
  skewOf,
} from '#shared/environment/rollout.ts'
import { isHeard } from '#shared/environment/readiness.ts'
import type { EnvironmentState } from '#shared/environment/state.ts'

/** @param state of its environment; null when the rollout is of the past */
export function rolloutView(
  rollout: Rollout,
  state: EnvironmentState | null,
  at: number,
): RolloutView {
  const skew = skewOf(rollout)
  const last = rollout.phases.at(-1)?.at ?? 0
  return {
    id: rollout.id,
    app: rollout.app,
    environment: rollout.environment,
    target: { ...rollout.target },
    fallback: rollout.fallback === null ? null : { ...rollout.fallback },
    phase: rollout.phase,
    reason: rollout.reason,
    exitCode: exitCodeOf(rollout),
    require: requireText(rollout.requirement),
    startedAt: rollout.phases[0]?.at ?? 0,
    deadlineAt: rollout.deadlineAt,
    endedAt: isOpen(rollout.phase) ? null : last,
    phases: rollout.phases.map((entry) => ({ ...entry })),
    participants: participantsOf(rollout).map((p) => participantView(p, state, at)),
    excluded: Object.entries(rollout.excluded).map(([host, reason]) => ({
      host,
      name: state?.record.members[host]?.name ?? host,
      reason,
    })),
    unknown: rollout.unknown.map((host) => rollout.participants[host]?.name ?? host),
    skewMs: skew?.skewMs ?? null,
    skewErrorMs: skew?.skewErrorMs ?? null,
    requestedBy: rollout.requestedBy,
  }
}

function participantView(
  participant: Participant,
  state: EnvironmentState | null,
  at: number,
): ParticipantView {
  const view = state?.sessions[participant.host]
  const report = isHeard(view, at) ? view.report : null
  return {
    host: participant.host,
    name: participant.name,
    state: participant.state,
    counted: participant.counted,
    wave: participant.wave,
    phase: participant.endPhase ?? report?.phase ?? 'unknown',
    failure:
      participant.failure ?? (participant.endPhase === null ? (report?.failure ?? null) : null),
    progress: participant.endPhase === null ? (report?.progress ?? null) : null,
    runs: report?.current?.version ?? null,
    activatedAt: participant.activation?.activatedAt ?? null,
    activationMode: participant.activation?.mode ?? null,
  }
}

function requireText(requirement: Requirement): string {
  if (requirement.kind === 'all') return 'all'
  return requirement.kind === 'count' ? String(requirement.value) : `${requirement.value}%`
}
