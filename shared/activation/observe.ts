// What an agent says of one app, derived from its state: the same facts give the same words.

import { sameFence } from '../fence.ts'
import type { HostPhase, Report } from '../report.ts'
import { attestsGoal, isAttested } from './attest.ts'
import { failureOf, hasFailed } from './failure.ts'
import { hasPassedGate } from './gate.ts'
import { goalOf, isAtGoal, keepsStill, standingOf } from './goal.ts'
import { isRunningOnce } from './once.ts'
import { hasPreflight } from './preflight.ts'
import { type ActivationState, currentRelease, isHeld } from './state.ts'

/** Everything of a report but what the session adds: its number and the state of the clock. */
export type Observed = Omit<Report, 'seq' | 'clock'>

export function observe(state: ActivationState): Observed {
  const { journal } = state
  const activation = journal.activation
  return {
    fence: journal.fence,
    phase: phaseOf(state),
    failure: failureOf(state),
    current: currentRelease(state.disk),
    standing: standingOf(state),
    ready: readyOf(state),
    progress: state.staging?.progress ?? null,
    activation:
      activation !== null && sameFence(activation.fence, journal.fence)
        ? {
            activatedAt: activation.activatedAt,
            errorMs: activation.errorMs,
            mode: activation.mode,
          }
        : null,
    conflict: state.conflict,
    serving: state.serving,
    declares: state.config.declares,
    once: journal.once,
  }
}

/**
 * Ready promises two verified trees, the target's and the fallback's, with `current` on it, and a
 * target that this host has tried as far as it can be tried beside what runs.
 */
function readyOf(state: ActivationState): Report['ready'] {
  const { told } = state.journal
  if (told === null || keepsStill(state) || told.stage === null) return null
  if (failureOf(state) !== null || state.journal.reloadDue || isRunningOnce(state)) return null
  if (state.acting !== null && state.acting.kind !== 'attest') return null
  if (!isHeld(state.disk, told.stage) || !isAttested(state, told.stage)) return null
  if (!hasPreflight(state, told.stage)) return null
  const goal = goalOf(state)
  if (!isAtGoal(state, goal)) return null
  if (goal.kind === 'release' && !isAttested(state, goal.release)) return null
  return { target: told.stage.tree, fallback: told.run.fallback?.tree ?? null }
}

function phaseOf(state: ActivationState): HostPhase {
  const { told } = state.journal
  if (told === null || told.hold) return 'idle'
  if (hasFailed(state)) return 'failed'
  if (state.acting?.kind === 'activate') return 'activating'
  if (told.stage !== null) return stagePhase(state, told.stage)
  const goal = goalOf(state)
  if (goal.kind === 'stay') return 'idle'
  if (!isAtGoal(state, goal)) {
    return goal.kind === 'release' && !isHeld(state.disk, goal.release) ? 'fetching' : 'activating'
  }
  if (goal.kind === 'before') return 'idle'
  if (!attestsGoal(state, goal)) return 'activating'
  return hasPassedGate(state) ? 'healthy' : 'active'
}

function stagePhase(state: ActivationState, stage: { version: string; tree: string }): HostPhase {
  if (readyOf(state) !== null) return 'ready'
  return isHeld(state.disk, stage) ? 'staged' : 'fetching'
}
