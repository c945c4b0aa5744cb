// The barrier: opens once per wave, and the decision to activate is recorded as it opens.

import { limits } from '../limits.ts'
import { abort } from './ending.ts'
import type { Step } from './events.ts'
import { activatedFirst } from './history.ts'
import { isHeard, isReady } from './readiness.ts'
import { hostsMinOf, type Participant, stagingOf } from './rollout.ts'
import { openRolloutOf, type EnvironmentState, type OpenRollout } from './state.ts'
import {
  andThen,
  decided,
  inPhase,
  unchanged,
  withFacts,
  withParticipants,
  withRecord,
} from './step.ts'

/** Opens when all participants are ready, and enough; judged at every report while staging. */
export function tryBarrier(state: EnvironmentState, at: number): Step {
  const rollout = openRolloutOf(state.record)
  if (rollout === null || rollout.phase !== 'staging') return unchanged(state)
  const participants = stagingOf(rollout)
  if (participants.length === 0) return abort(state, 'no-participants', at)
  if (participants.length < hostsMinOf(rollout, participants.length)) return unchanged(state)
  const ready = participants.filter((p) => isReady(state, rollout, p.host, at))
  return ready.length === participants.length ? open(state, rollout, ready, at) : unchanged(state)
}

/** At the deadline: those ready, if they are enough; otherwise abort. */
export function judgeBarrier(state: EnvironmentState, at: number): Step {
  const rollout = openRolloutOf(state.record)
  if (rollout === null || rollout.phase !== 'staging') return unchanged(state)
  const participants = stagingOf(rollout)
  const ready = participants.filter((p) => isReady(state, rollout, p.host, at))
  return ready.length >= hostsMinOf(rollout, participants.length)
    ? open(state, rollout, ready, at)
    : abort(state, 'stage-deadline', at)
}

function open(
  state: EnvironmentState,
  rollout: OpenRollout,
  ready: readonly Participant[],
  at: number,
): Step {
  const counted = ready.map((p) => p.host).sort()
  const judged = withParticipants(inPhase(rollout, 'activating', at), (p) => {
    if (counted.includes(p.host)) return { ...p, counted: true }
    return p.state === 'participating' ? { ...p, state: 'left-behind' } : p
  })
  const activating = {
    ...judged,
    activateAt: at + leadMs(state, counted, at),
    deadlineAt: at + limits.activationDeadlineMs,
  }
  const opened = withRecord(state, {
    rollout: activating,
    history: activatedFirst(rollout.target, state.record.history),
  })
  return andThen(
    decided(
      opened,
      {
        kind: 'activate',
        rollout: rollout.id,
        wave: 0,
        counted,
        run: rollout.target,
        fallback: rollout.fallback,
        stage: rollout.target,
      },
      at,
    ),
    (s) => withFacts(s, { type: 'barrier-opened', rollout: activating }),
  )
}

/** Long enough that the message is everywhere before the instant that it names. */
function leadMs(state: EnvironmentState, hosts: readonly string[], at: number): number {
  const roundTrips = hosts
    .map((host) => state.sessions[host])
    .flatMap((view) =>
      isHeard(view, at) && view.report.clock ? [view.report.clock.roundTripMs] : [],
    )
    .sort((a, b) => a - b)
  const p99 = roundTrips[Math.ceil(roundTrips.length * 0.99) - 1] ?? 0
  return Math.min(limits.leadMaxMs, Math.max(limits.leadMinMs, limits.leadRoundTrips * p99))
}
