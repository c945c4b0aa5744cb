// The trials beside what acts on `current`: preflight, `before-activate` and gate, one at a time and
// only for the highest fence. What is no longer wanted is stopped, and nothing waits for it but the
// next trial.

import { sameFence } from '../fence.ts'
import { type Release, sameRelease } from '../release.ts'
import type { ActivationEffect, EventOf, Step } from './events.ts'
import { failedUnder, retrying } from './failure.ts'
import { gateSubject, judged, probeModeOf } from './gate.ts'
import { canSwap, type Goal, goalOf, isAtGoal } from './goal.ts'
import {
  hasPreflight,
  preflightSubject,
  swapsWithoutPreflight,
  withAfterStage,
} from './preflight.ts'
import {
  type ActivationState,
  currentRelease,
  releaseAt,
  type Trial,
  type TrialKind,
} from './state.ts'
import { doing, only } from './step.ts'

type Wanted = Omit<Trial, 'stopping'>

export function tryWhatIsDue(state: ActivationState): Step {
  const wanted = wantedTrial(state)
  const { trial } = state
  if (trial !== null) {
    if (trial.stopping || (wanted !== null && isSame(trial, wanted))) return only(state)
    return doing({ ...state, trial: { ...trial, stopping: true } }, { type: 'stop-trial' })
  }
  if (wanted === null) return only(state)
  return doing({ ...state, trial: { ...wanted, stopping: false } }, effectOf(state, wanted))
}

/** Whether nothing of the host's own stands in the way of the swap any more. */
export function isCleared(state: ActivationState, goal: Goal): boolean {
  const { told, fence } = state.journal
  if (told === null || goal.kind !== 'release' || told.kind === 'roll-back') return true
  if (!swapsWithoutPreflight(told) && !hasPreflight(state, goal.release)) return false
  const { cleared } = state
  return (
    cleared !== null &&
    sameFence(cleared.fence, fence) &&
    sameRelease(cleared.release, goal.release)
  )
}

/** What a swap waits for comes first. */
function wantedTrial(state: ActivationState): Wanted | null {
  const { fence } = state.journal
  if (fence === null) return null
  const { failed } = state
  const due: readonly { kind: TrialKind; release: Release | null }[] = [
    { kind: 'before-activate', release: failed.act === null ? clearanceSubject(state) : null },
    { kind: 'preflight', release: failed.preflight === null ? preflightSubject(state) : null },
    { kind: 'gate', release: failed.gate === null ? gateSubject(state) : null },
  ]
  for (const { kind, release } of due) {
    if (release !== null) return { kind, fence, release }
  }
  return null
}

/** The release that `before-activate` is due for: on receipt, whatever the instant of the swap. */
function clearanceSubject(state: ActivationState): Release | null {
  const { told } = state.journal
  const goal = goalOf(state)
  if (told === null || goal.kind !== 'release' || isAtGoal(state, goal)) return null
  if (!canSwap(state, goal) || isCleared(state, goal)) return null
  if (state.acting !== null && state.acting.kind !== 'attest') return null
  const isFit = swapsWithoutPreflight(told) || hasPreflight(state, goal.release)
  return isFit ? goal.release : null
}

function effectOf(state: ActivationState, { kind, fence, release }: Wanted): ActivationEffect {
  const runs = { fence, release, previous: currentRelease(state.disk) }
  switch (kind) {
    case 'preflight': {
      const runHook = !state.journal.afterStageDone.includes(release.tree)
      return { type: 'preflight', ...runs, runHook }
    }
    case 'before-activate':
      return { type: 'before-activate', ...runs }
    case 'gate': {
      const previous = previousRelease(state)
      return { type: 'probe', fence, release, previous, mode: probeModeOf(state, release) }
    }
  }
}

/** What `current` was before the last swap; null for nothing of ours. */
export function previousRelease({ journal, disk }: ActivationState): Release | null {
  return releaseAt(disk, journal.previous?.link ?? null)
}

/** An end that nothing waits for changes nothing. */
export function endTrial(state: ActivationState, event: EventOf<'trial-ended'>): Step {
  const { trial: kind, fence, release, outcome } = event
  const { trial } = state
  if (trial === null || !isSame(trial, { kind, fence, release })) return only(state)
  const ended = { ...state, trial: null }
  switch (kind) {
    case 'preflight':
      return endPreflight(ended, trial, outcome)
    case 'before-activate': {
      if (trial.stopping) return only(ended)
      if (outcome.kind === 'failed') return failedUnder(ended, 'act', fence, outcome.failure)
      return only({ ...ended, cleared: { fence, release } })
    }
    case 'gate': {
      if (trial.stopping) return only(ended)
      const gate = judged(state, release, outcome)
      if (outcome.kind === 'failed') {
        return failedUnder({ ...ended, gate }, 'gate', fence, outcome.failure)
      }
      return only({ ...ended, gate })
    }
  }
}

/** A hook that ran to its good end has run, though it was to be stopped. */
function endPreflight(
  ended: ActivationState,
  { stopping, fence, release }: Trial,
  outcome: EventOf<'trial-ended'>['outcome'],
): Step {
  if (outcome.kind === 'failed') {
    return stopping ? only(ended) : retrying(ended, 'preflight', outcome.failure)
  }
  const journal = withAfterStage(ended.journal, release)
  const fit = { ...ended.fit, [release.tree]: fence }
  return only({ ...ended, journal, fit })
}

function isSame(trial: Wanted, wanted: Wanted): boolean {
  return (
    trial.kind === wanted.kind &&
    sameFence(trial.fence, wanted.fence) &&
    sameRelease(trial.release, wanted.release)
  )
}
