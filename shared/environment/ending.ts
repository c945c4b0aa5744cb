// The ends of a rollout, and the way back: commit, abort, roll back, and how a roll back ends.

import { limits } from '../limits.ts'
import { activatedFirst } from './history.ts'
import type { Step } from './events.ts'
import { onceGivenUp } from './once.ts'
import { hasAttested, isHeard, longestOf } from './readiness.ts'
import { countedOf, type EndPhase, given, type Rollout, type RolloutReason } from './rollout.ts'
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

/** Every counted host that remains has attested the target and is healthy. */
export function commit(
  state: EnvironmentState,
  at: number,
  reason: Extract<RolloutReason, 'all-healthy' | 'no-hosts'> = 'all-healthy',
): Step {
  const rollout = openRolloutOf(state.record)
  if (rollout === null) return unchanged(state)
  const committed = withRecord(ended(state, rollout, 'committed', reason, at), {
    committed: rollout.target,
    desired: rollout.target,
    history: activatedFirst(rollout.target, state.record.history),
  })
  return andThen(settle(committed, rollout.id, at), endedFact)
}

/** Nobody was told to activate: everyone is told the committed release again, as a new epoch. */
export function abort(state: EnvironmentState, reason: RolloutReason, at: number): Step {
  const rollout = openRolloutOf(state.record)
  if (rollout === null) return unchanged(state)
  const aborted = withRecord(ended(state, rollout, 'aborted', reason, at), {
    desired: state.record.committed,
    once: onceGivenUp(state.record.once, rollout.target.tree, at),
  })
  return andThen(settle(aborted, rollout.id, at), endedFact)
}

/**
 * The whole fleet returns to the fallback under a new epoch. Hosts that were dropped are asked for
 * again: they were told to activate and may be on the target.
 */
export function rollBack(
  state: EnvironmentState,
  reason: RolloutReason,
  hosts: readonly string[],
  at: number,
): Step {
  const rollout = openRolloutOf(state.record)
  if (rollout === null) return unchanged(state)
  const { fallback, target } = rollout
  const returning = withParticipants(inPhase(rollout, 'rolling-back', at), (p) =>
    p.state === 'dropped' ? { ...p, state: 'participating' } : p,
  )
  const counted = countedOf(returning).map((p) => p.host)
  // They have steps to take on this way too.
  const longestMs = longestOf(state, counted, (declares) => declares.activationMs)
  const started = {
    ...given(returning, at, limits.rollBackDeadlineMs + longestMs),
    reason,
    activateAt: null,
    between: null,
  }
  const { history } = state.record
  const recorded = withRecord(state, {
    rollout: started,
    history: activatedFirst(fallback ?? target, history),
  })
  return andThen(
    decided(
      recorded,
      {
        kind: 'roll-back',
        rollout: rollout.id,
        wave: null,
        counted: counted.sort(),
        run: fallback,
        fallback,
        stage: null,
      },
      at,
    ),
    (s) =>
      andThen(withFacts(s, { type: 'roll-back-started', rollout: started, hosts }), (next) =>
        tryRolledBack(next, at),
      ),
  )
}

/** Ends the roll back once every counted host has attested where it went. */
export function tryRolledBack(state: EnvironmentState, at: number): Step {
  const rollout = openRolloutOf(state.record)
  if (rollout === null || rollout.phase !== 'rolling-back') return unchanged(state)
  return stillOut(state, rollout).length === 0
    ? endRollBack(state, rollout, [], at)
    : unchanged(state)
}

/** At the deadline: those that have not attested are named as unknown. */
export function judgeRollBack(state: EnvironmentState, at: number): Step {
  const rollout = openRolloutOf(state.record)
  if (rollout === null || rollout.phase !== 'rolling-back') return unchanged(state)
  return endRollBack(state, rollout, stillOut(state, rollout), at)
}

function endRollBack(
  state: EnvironmentState,
  rollout: OpenRollout,
  unknown: readonly string[],
  at: number,
): Step {
  const epoch = state.record.decision?.fence.epoch ?? 0
  const kept = countedOf(rollout).some((p) => hasAttested(p, epoch, ['kept']))
  const phase = kept ? 'failed' : 'rolled-back'
  const over = ended(state, { ...rollout, unknown }, phase, rollout.reason ?? 'host-failed', at)
  return endedFact(withRecord(over, { desired: state.record.committed }))
}

function stillOut(state: EnvironmentState, rollout: Rollout): readonly string[] {
  const epoch = state.record.decision?.fence.epoch ?? 0
  return countedOf(rollout)
    .filter((p) => !hasAttested(p, epoch, ['back', 'kept']))
    .map((p) => p.host)
}

/** Whoever looks later finds how each host stood: what is heard is gone by then. */
function ended(
  state: EnvironmentState,
  rollout: OpenRollout,
  phase: EndPhase,
  reason: RolloutReason,
  at: number,
): EnvironmentState {
  const seen = withParticipants(inPhase(rollout, phase, at), (p) => {
    const view = state.sessions[p.host]
    if (!isHeard(view, at)) return { ...p, endPhase: 'unknown' }
    const { report } = view
    return { ...p, endPhase: report.phase, failure: p.failure ?? report.failure }
  })
  return withRecord(state, { rollout: { ...seen, reason, between: null } })
}

/**
 * A new epoch in which everyone runs what is committed now.
 * @param rollout the one that it ends; null where none is open
 */
export function settle(state: EnvironmentState, rollout: string | null, at: number): Step {
  const { committed } = state.record
  const content = {
    kind: 'settle' as const,
    rollout,
    wave: null,
    counted: [],
    run: committed,
    fallback: committed,
    stage: null,
  }
  return decided(state, content, at)
}

function endedFact(state: EnvironmentState): Step {
  const { rollout } = state.record
  return rollout === null ? unchanged(state) : withFacts(state, { type: 'rollout-ended', rollout })
}
