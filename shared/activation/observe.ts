// What an agent says of one app, derived from its state: the same facts give the same words.

import { sameFence } from '../fence.ts'
import type { Release } from '../release.ts'
import { declaresNothing, type Failure, type HostPhase, type Report } from '../report.ts'
import { type Goal, goalOf, isAtGoal, standingOf } from './goal.ts'
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
    declares: declaresNothing,
    once: null,
  }
}

/** A failure that was met, or a condition of the disk that stands in the way. */
export function failureOf(state: ActivationState): Failure | null {
  const { told } = state.journal
  if (state.disk.current.kind === 'directory' && told !== null && !told.hold) {
    return {
      code: 'current-is-directory',
      message: 'there is a real directory or file where `current` should be',
      hint: 'Move it aside (never deleted by Lockstep), or adopt the site; then nothing else is needed.',
    }
  }
  if (state.disk.current.kind === 'unreadable') {
    return {
      code: 'disk-error',
      message: `the app\u2019s root cannot be read: ${state.disk.current.reason}`,
      hint: 'Look at the disk and at the rights of the agent\u2019s user.',
    }
  }
  const current = currentRelease(state.disk)
  if (current !== null && state.attested[current.version]?.result === 'drifted') {
    return {
      code: 'tree-drifted',
      message: `files of ${current.version} were changed on this host after it was staged`,
      hint: 'The agent repairs them by itself; its log names them.',
    }
  }
  return (state.failed.act ?? state.failed.stage)?.failure ?? null
}

/** Ready promises two verified trees, the target's and the fallback's, with `current` on it. */
export function readyOf(state: ActivationState): Report['ready'] {
  const { told } = state.journal
  if (told === null || told.hold || told.stage === null) return null
  if (failureOf(state) !== null || state.journal.reloadDue) return null
  if (state.acting !== null && state.acting.kind !== 'attest') return null
  if (!isHeld(state.disk, told.stage) || !isAttested(state, told.stage)) return null
  const goal = goalOf(state)
  if (!isAtGoal(state, goal)) return null
  if (goal.kind === 'release' && !isAttested(state, goal.release)) return null
  return { target: told.stage.tree, fallback: told.run.fallback?.tree ?? null }
}

/** Whether the release was found whole under the persisted fence. */
export function isAttested(state: ActivationState, { version }: Release): boolean {
  const attested = state.attested[version]
  return (
    attested !== undefined &&
    attested.result === 'whole' &&
    sameFence(attested.fence, state.journal.fence)
  )
}

export function isHealthy(state: ActivationState, goal: Goal): boolean {
  return (
    goal.kind === 'release' &&
    isAtGoal(state, goal) &&
    isAttested(state, goal.release) &&
    !state.journal.reloadDue &&
    state.acting?.kind !== 'activate' &&
    !isHampered(state)
  )
}

/** Whether something is wrong with what runs: a stage that failed beside it is not. */
export function isHampered(state: ActivationState): boolean {
  return failureOf({ ...state, failed: { ...state.failed, stage: null } }) !== null
}

function phaseOf(state: ActivationState): HostPhase {
  const { told } = state.journal
  if (told === null || told.hold) return 'idle'
  if (failureOf(state) !== null) return 'failed'
  if (state.acting?.kind === 'activate') return 'activating'
  if (told.stage !== null) return stagePhase(state, told.stage)
  const goal = goalOf(state)
  if (goal.kind === 'stay') return 'idle'
  if (!isAtGoal(state, goal)) {
    return goal.kind === 'release' && !isHeld(state.disk, goal.release) ? 'fetching' : 'activating'
  }
  if (goal.kind === 'before') return 'idle'
  return isHealthy(state, goal) ? 'healthy' : 'active'
}

function stagePhase(state: ActivationState, stage: { version: string; tree: string }): HostPhase {
  if (readyOf(state) !== null) return 'ready'
  return isHeld(state.disk, stage) ? 'staged' : 'fetching'
}
