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
import type { OnceRecord } from '#shared/environment/once.ts'
import { isHeard } from '#shared/environment/readiness.ts'
import type { EnvironmentState } from '#shared/environment/state.ts'

/**
 * @param state of its environment; null when the rollout is of the past
 * @param once what is known there of the once run of its target
 */
export function rolloutView(
  rollout: Rollout,
  state: EnvironmentState | null,
  at: number,
  once: OnceRecord | null = null,
): RolloutView {
  const named = ([host, reason]: [string, string]) => {
    return { host, name: state?.record.members[host]?.name ?? host, reason }
  }
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
    waves: rollout.waves.map((wave) => ({ ...wave })),
    wave: rollout.wave,
    between: rollout.between === null ? null : { ...rollout.between },
    once: once === null ? null : onceView(rollout, once),
    exitCode: exitCodeOf(rollout),
    require: requireText(rollout.requirement),
    startedAt: rollout.phases[0]?.at ?? 0,
    deadlineAt: rollout.deadlineAt,
    endedAt: isOpen(rollout.phase) ? null : last,
    phases: rollout.phases.map((entry) => ({ ...entry })),
    participants: participantsOf(rollout).map((p) => participantView(p, state, at)),
    excluded: Object.entries(rollout.excluded).map(named),
    drained: Object.entries(state?.record.drained ?? {}).map(named),
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

/** Of a run that is under way here, or that this rollout asked for. */
function onceView(rollout: Rollout, known: OnceRecord): RolloutView['once'] {
  if (known.rollout !== rollout.id || known.host === null) return null
  const { state, message } = known
  return { state, message, name: rollout.participants[known.host]?.name ?? known.host }
}

export function requireText(requirement: Requirement): string {
  if (requirement.kind === 'all') return 'all'
  return requirement.kind === 'count' ? String(requirement.value) : `${requirement.value}%`
}
