// What to do next: compares what was told with what the disk says and what is under way, and asks
// for the missing steps. Called after every event, it is the only place that starts anything.

import { sameFence } from '../fence.ts'
import type { Release } from '../release.ts'
import type { Failure } from '../report.ts'
import { attestsGoal, attestWhatIsPromised } from './attest.ts'
import type { Step } from './events.ts'
import { isHampered } from './failure.ts'
import { canSwap, type Goal, goalOf, isAtGoal, toldGoalOf } from './goal.ts'
import { prepareJournal } from './journal.ts'
import { stageWhatLacks } from './lacking.ts'
import { isRunningOnce, runOnceAsTold } from './once.ts'
import { fitWhatRuns, preflightSubject } from './preflight.ts'
import { type ActivationState, currentRelease, isObstructed, releaseAt } from './state.ts'
import { doing, inOrder, only } from './step.ts'
import { isCleared, previousRelease, tryWhatIsDue } from './trial.ts'

export function reconcile(state: ActivationState): Step {
  return inOrder(state, [
    prepareJournal,
    setTimer,
    actOnCurrent,
    stageWhatLacks,
    attestWhatIsPromised,
    fitWhatRuns,
    tryWhatIsDue,
    runOnceAsTold,
    tellFailure,
    serveWhatIsAttested,
    cleanUp,
  ])
}

function setTimer(state: ActivationState): Step {
  const { told, fence } = state.journal
  const goal = goalOf(state)
  const activateAt = told?.run.activateAt ?? null
  const waits =
    fence !== null &&
    activateAt !== null &&
    goal.kind === 'release' &&
    !isAtGoal(state, goal) &&
    !sameFence(state.due, fence)
  if (!waits) {
    if (state.scheduled === null) return only(state)
    return doing({ ...state, scheduled: null }, { type: 'unschedule' })
  }
  const { scheduled } = state
  if (
    scheduled !== null &&
    sameFence(scheduled.fence, fence) &&
    scheduled.activateAt === activateAt
  ) {
    return only(state)
  }
  const timer = { fence, activateAt }
  return doing({ ...state, scheduled: timer }, { type: 'schedule', ...timer })
}

function actOnCurrent(state: ActivationState): Step {
  const { fence } = state.journal
  if (fence === null) return only(state)
  if (state.acting !== null && !isOldLook(state)) return stopOldSteps(state)
  if (isOldHookLeft(state)) return only(state)
  // What stands at `current` in place of a link holds up everything.
  if (isObstructed(state) || state.failed.act !== null) return only(state)
  const goal = goalOf(state)
  if (isAtGoal(state, goal)) {
    const isTime = state.journal.reloadDue && state.acting === null
    return isTime ? reload(state) : only(state)
  }
  const isTime = isDue(state) && isCleared(state, goal)
  return isTime && canSwap(state, goal) ? swap(state, goal) : only(state)
}

/** The regular attest may be under way when a decision comes: its instant does not wait for that. */
function isOldLook({ acting, journal }: ActivationState): boolean {
  return acting?.kind === 'attest' && !sameFence(acting.fence, journal.fence)
}

/** A hook of an older decision is gone before anything is done for a newer one. */
function isOldHookLeft({ trial, journal }: ActivationState): boolean {
  return trial !== null && trial.kind !== 'gate' && !sameFence(trial.fence, journal.fence)
}

/** No decision waits for what was asked for under an older one. */
function stopOldSteps(state: ActivationState): Step {
  const { acting } = state
  if (acting?.kind !== 'reload' || acting.stopping) return only(state)
  if (sameFence(acting.fence, state.journal.fence)) return only(state)
  return doing({ ...state, acting: { ...acting, stopping: true } }, { type: 'stop-reload' })
}

function reload(state: ActivationState): Step {
  const { fence, told, rollingBack } = state.journal
  if (fence === null) return only(state)
  return doing(
    { ...state, acting: { kind: 'reload', fence, stopping: false } },
    {
      type: 'reload',
      fence,
      release: currentRelease(state.disk),
      previous: previousRelease(state),
      rollingBack: rollingBack || told?.kind === 'roll-back',
    },
  )
}

function swap(state: ActivationState, goal: Goal): Step {
  const { fence } = state.journal
  if (fence === null || goal.kind === 'stay') return only(state)
  const target =
    goal.kind === 'release'
      ? ({ kind: 'release', release: goal.release } as const)
      : ({ kind: 'link', link: goal.link } as const)
  return doing({ ...state, acting: { kind: 'activate', fence } }, { type: 'swap', fence, target })
}

function isDue(state: ActivationState): boolean {
  const { told, fence } = state.journal
  return told?.run.activateAt === null || sameFence(state.due, fence)
}

/** Hook `on-failure`, once per fence, when this host fails for good under it. */
function tellFailure(state: ActivationState): Step {
  const { fence } = state.journal
  if (fence === null || sameFence(state.failureTold, fence)) return only(state)
  const failing = failingFor(state)
  if (failing === null) return only(state)
  const previous = currentRelease(state.disk)
  return doing(
    { ...state, failureTold: fence },
    { type: 'tell-failure', fence, previous, ...failing },
  )
}

function failingFor(state: ActivationState): { release: Release; failure: Failure } | null {
  const { act, gate, preflight } = state.failed
  const lost = [act, gate].find((failed) => failed?.outlook === 'final')
  const goal = goalOf(state)
  if (lost && goal.kind === 'release') return { release: goal.release, failure: lost.failure }
  const release = preflightSubject(state)
  return preflight === null || release === null ? null : { release, failure: preflight.failure }
}

/**
 * While a swap or an attest is under way the last word stands: no flapping at every release. It
 * stands too on a host that was told to hold what it runs; its own operator's hold excuses nobody
 * from running what was told. A drained host serves nothing.
 */
function serveWhatIsAttested(state: ActivationState): Step {
  const goal = toldGoalOf(state)
  const holds = state.journal.told?.hold === true && currentRelease(state.disk) !== null
  const { acting, scheduled, trial } = state
  const isHooked = trial !== null && (trial.stopping || trial.kind === 'before-activate')
  const isBusy = acting !== null || scheduled !== null || isHooked
  const isUnderWay =
    !isHampered(state) && (holds || (goal.kind === 'release' && (isBusy || isAtGoal(state, goal))))
  const isDrained = state.journal.told?.drain === true
  const serving = !isDrained && (attestsGoal(state, goal) || (isUnderWay && state.serving))
  if (serving === state.serving) return only(state)
  return doing({ ...state, serving }, { type: 'serve', serving })
}

/** Once per fence, when nothing is staged or on its way any more. */
function cleanUp(state: ActivationState): Step {
  const { told, fence } = state.journal
  if (told === null || fence === null || told.stage !== null || told.kind === 'activate') {
    return only(state)
  }
  if (sameFence(state.cleanedFor, fence) || !attestsGoal(state, goalOf(state))) return only(state)
  return doing(
    { ...state, cleanedFor: fence },
    { type: 'clean-up', pinned: pinnedOf(state), history: told.history },
  )
}

/** The trees that no clean-up may remove while the state is this one. */
export function pinnedOf(state: ActivationState): readonly string[] {
  const { told, before, once } = state.journal
  const pinned = [
    currentRelease(state.disk),
    told?.run.release,
    told?.run.fallback,
    told?.stage,
    state.staging?.release,
    releaseAt(state.disk, before?.link ?? null),
  ].flatMap((release) => (release ? [release.tree] : []))
  // It works in its release, though a higher fence may want another.
  return once !== null && isRunningOnce(state) ? [...pinned, once.tree] : pinned
}
