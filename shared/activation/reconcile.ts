// What to do next: compares what was told with what the disk says and what is under way, and asks
// for the missing steps. Called after every event, it is the only place that starts anything.

import { sameFence } from '../fence.ts'
import { type Release, sameRelease } from '../release.ts'
import type { ActivationEffect, Step } from './events.ts'
import { type Goal, goalOf, isAtGoal, isUncommitted } from './goal.ts'
import { isHampered, isHealthy } from './observe.ts'
import {
  type ActivationState,
  currentRelease,
  isHeld,
  type Journal,
  linkOf,
  type Work,
} from './state.ts'

type Reconciler = (state: ActivationState) => Step

export function reconcile(state: ActivationState): Step {
  const order: readonly Reconciler[] = [
    prepareJournal,
    setTimer,
    actOnCurrent,
    stageWhatLacks,
    attestWhatIsPromised,
    serveWhatIsAttested,
    cleanUp,
  ]
  return order.reduce<Step>(
    (step, next) => {
      const { state: after, effects } = next(step.state)
      return { state: after, effects: [...step.effects, ...effects] }
    },
    { state, effects: [] },
  )
}

/**
 * What a swap needs in the journal is saved with the decision itself, so that at `activateAt`
 * nothing happens but the rename: the *before* once, and that the reload steps are due.
 */
function prepareJournal(state: ActivationState): Step {
  const { journal, disk } = state
  const { told } = journal
  if (told === null || told.hold) return nothing(state)
  // A swap that a lower fence began has not said yet where `current` is.
  if (state.acting?.kind === 'activate') return nothing(state)
  const goal = goalOf(state)
  let next: Journal = journal
  if (isUncommitted(told)) {
    if (next.before === null && !isAtGoal(state, goal) && !isObstructed(state)) {
      next = { ...next, before: { link: linkOf(disk.current) } }
    }
  } else if (next.before !== null && isBeforeSettled(state, goal)) {
    next = { ...next, before: null }
  }
  if (!next.reloadDue && goal.kind !== 'stay' && !isAtGoal(state, goal) && canSwap(state, goal)) {
    next = { ...next, reloadDue: true }
  }
  return next === journal ? nothing(state) : nothing({ ...state, journal: next })
}

/** A *before* ends when a release is committed, or when the host is back on it. */
function isBeforeSettled(state: ActivationState, goal: Goal): boolean {
  if (goal.kind === 'release') return true
  if (goal.kind === 'before') return isAtGoal(state, goal)
  return state.disk.current.kind === 'none'
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
    if (state.scheduled === null) return nothing(state)
    return { state: { ...state, scheduled: null }, effects: [{ type: 'unschedule' }] }
  }
  const { scheduled } = state
  if (
    scheduled !== null &&
    sameFence(scheduled.fence, fence) &&
    scheduled.activateAt === activateAt
  ) {
    return nothing(state)
  }
  const timer = { fence, activateAt }
  return { state: { ...state, scheduled: timer }, effects: [{ type: 'schedule', ...timer }] }
}

function actOnCurrent(state: ActivationState): Step {
  const { fence } = state.journal
  if (fence === null || state.acting !== null || isBlocked(state, 'act')) return nothing(state)
  const goal = goalOf(state)
  if (!isAtGoal(state, goal)) {
    return canSwap(state, goal) && isDue(state) ? swap(state, goal) : nothing(state)
  }
  if (!state.journal.reloadDue) return nothing(state)
  const acting = { kind: 'reload' as const, fence }
  return { state: { ...state, acting }, effects: [{ type: 'reload', fence }] }
}

function swap(state: ActivationState, goal: Goal): Step {
  const { fence } = state.journal
  if (fence === null || goal.kind === 'stay') return nothing(state)
  const target =
    goal.kind === 'release'
      ? ({ kind: 'release', release: goal.release } as const)
      : ({ kind: 'link', link: goal.link } as const)
  return {
    state: { ...state, acting: { kind: 'activate', fence } },
    effects: [{ type: 'swap', fence, target }],
  }
}

/** Only a release that is held, and was found whole by this process, is ever swapped to. */
function canSwap(state: ActivationState, goal: Goal): boolean {
  if (isObstructed(state)) return false
  if (goal.kind !== 'release') return goal.kind === 'before'
  return (
    isHeld(state.disk, goal.release) && state.attested[goal.release.version]?.result === 'whole'
  )
}

function isDue(state: ActivationState): boolean {
  const { told, fence } = state.journal
  return told?.run.activateAt === null || sameFence(state.due, fence)
}

/** Fetches what is to run before what is only to be staged; one at a time. */
function stageWhatLacks(state: ActivationState): Step {
  const wanted = lackingRelease(state)
  const { staging } = state
  if (staging !== null) {
    if (staging.cancelling || (wanted !== null && sameRelease(staging.release, wanted))) {
      return nothing(state)
    }
    return {
      state: { ...state, staging: { ...staging, cancelling: true } },
      effects: [{ type: 'cancel-stage' }],
    }
  }
  if (wanted === null || isBlocked(state, 'stage')) return nothing(state)
  return {
    state: { ...state, staging: { release: wanted, cancelling: false, progress: null } },
    effects: [{ type: 'stage', release: wanted }],
  }
}

function lackingRelease(state: ActivationState): Release | null {
  const { told } = state.journal
  if (told === null || told.hold) return null
  const goal = goalOf(state)
  if (goal.kind === 'release' && !isUsable(state, goal.release)) return goal.release
  return told.stage !== null && !isUsable(state, told.stage) ? told.stage : null
}

/** A drifted tree is staged again: built anew, or repaired file by file where it is what runs. */
function isUsable(state: ActivationState, release: Release): boolean {
  return isHeld(state.disk, release) && state.attested[release.version]?.result !== 'drifted'
}

/**
 * Every epoch promises anew, so every epoch looks at the trees anew. What is about to be swapped to
 * was looked at before it was promised, and is looked at after the swap: in between nothing may
 * hold up the rename.
 */
function attestWhatIsPromised(state: ActivationState): Step {
  const { told, fence } = state.journal
  if (fence === null || told === null || told.hold || state.acting !== null) return nothing(state)
  const goal = goalOf(state)
  const isAwaited = !isAtGoal(state, goal) && canSwap(state, goal)
  const promised = [goal.kind === 'release' && !isAwaited ? goal.release : null, told.stage]
  const releases = promised.filter(
    (release): release is Release =>
      release !== null && isHeld(state.disk, release) && needsAttest(state, release),
  )
  if (releases.length === 0) return nothing(state)
  return {
    state: { ...state, acting: { kind: 'attest', fence, releases } },
    effects: [{ type: 'attest', fence, releases }],
  }
}

function needsAttest(state: ActivationState, release: Release): boolean {
  const last = state.attested[release.version]
  return last === undefined || last.due || !sameFence(last.fence, state.journal.fence)
}

/**
 * While a swap or an attest is under way the last word stands: no flapping at every release. It
 * stands too on a host that was told to hold what it runs.
 */
function serveWhatIsAttested(state: ActivationState): Step {
  const goal = goalOf(state)
  const holds = state.journal.told?.hold === true && currentRelease(state.disk) !== null
  const underWay =
    (goal.kind === 'release' || holds) &&
    !isHampered(state) &&
    (state.acting !== null || state.scheduled !== null || isAtGoal(state, goal))
  const serving = isHealthy(state, goal) || (underWay && state.serving)
  if (serving === state.serving) return nothing(state)
  return { state: { ...state, serving }, effects: [{ type: 'serve', serving }] }
}

/** Once per fence, when nothing is staged or on its way any more. */
function cleanUp(state: ActivationState): Step {
  const { told, fence } = state.journal
  if (told === null || fence === null || told.stage !== null || told.kind === 'activate') {
    return nothing(state)
  }
  if (sameFence(state.cleanedFor, fence) || !isHealthy(state, goalOf(state))) return nothing(state)
  return {
    state: { ...state, cleanedFor: fence },
    effects: [{ type: 'clean-up', pinned: pinnedOf(state), history: told.history }],
  }
}

/** The trees that no clean-up may remove while the state is this one. */
export function pinnedOf(state: ActivationState): readonly string[] {
  const { told, before } = state.journal
  const beforeRelease = state.disk.held.find(
    (release) => before !== null && before.link === `versions/${release.version}`,
  )
  const pinned = [
    currentRelease(state.disk),
    told?.run.release,
    told?.run.fallback,
    told?.stage,
    state.staging?.release,
    beforeRelease,
  ]
  return pinned.flatMap((release) => (release ? [release.tree] : []))
}

/** What stands at `current` can neither be replaced nor gone back to. */
function isObstructed(state: ActivationState): boolean {
  const { kind } = state.disk.current
  return kind === 'directory' || kind === 'unreadable'
}

/** A failure holds up its own kind of work; an obstacle at `current` holds up all of it. */
function isBlocked(state: ActivationState, work: Work): boolean {
  return isObstructed(state) || state.failed[work] !== null
}

function nothing(state: ActivationState): { state: ActivationState; effects: ActivationEffect[] } {
  return { state, effects: [] }
}
