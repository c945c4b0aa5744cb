// The run that a fleet makes once per release, on the host that is elected for it: journalled before
// it is started, never started twice under one fence, never under a lower one, and ended by nothing
// but its own time.

import { compareFence, sameFence } from '../fence.ts'
import { limits } from '../limits.ts'
import type { Release } from '../release.ts'
import type { OnceRun } from '../report.ts'
import type { EventOf, Step } from './events.ts'
import { keepsStill } from './goal.ts'
import { type ActivationState, currentRelease, isHeld } from './state.ts'
import { doing, only } from './step.ts'

export function isRunningOnce({ journal }: ActivationState): boolean {
  return journal.once?.state === 'running'
}

export function runOnceAsTold(state: ActivationState): Step {
  const { once, fence } = state.journal
  if (once?.state === 'running' && state.onceRun === null) {
    // An earlier process began it: this one can only see to it that nothing of it is left.
    const waiting = { ...state, onceRun: 'elsewhere' as const }
    return doing(waiting, { type: 'await-once', fence: once.fence })
  }
  const release = onceSubject(state)
  if (release === null || fence === null) return only(state)
  const run = { fence, tree: release.tree }
  if (state.config.declares.once === null) {
    return only(withOnce(state, { ...run, state: 'failed', message: undeclared }, 'unsaid'))
  }
  const previous = currentRelease(state.disk)
  return doing(withOnce(state, { ...run, state: 'running', message: null }, 'here'), {
    type: 'run-once',
    fence,
    release,
    previous,
  })
}

const undeclared = 'the configuration of this host declares no such run'

/** The release that the run is due for: staged whole, and the one before has ended and been said. */
function onceSubject(state: ActivationState): Release | null {
  const { told, fence, once } = state.journal
  if (told === null || !told.once || told.stage === null || keepsStill(state)) return null
  if (state.onceRun !== null || isRunningOnce(state)) return null
  if (compareFence(fence, once?.fence ?? null) !== 'higher') return null
  const isWhole = state.attested[told.stage.version]?.result === 'whole'
  return isWhole && isHeld(state.disk, told.stage) ? told.stage : null
}

export function endOnce(state: ActivationState, { fence, outcome }: EventOf<'once-ended'>): Step {
  const run = runUnder(state, fence)
  if (run === null || state.onceRun !== 'here') return only(state)
  if (outcome.kind === 'done') return only(withOnce(state, { ...run, state: 'done' }, 'unsaid'))
  const message = outcome.failure.message.slice(0, limits.messageTextCharsMax)
  return only(withOnce(state, { ...run, state: 'failed', message }, 'unsaid'))
}

/** How it ended is not known; that it has is. */
export function endInterrupted(state: ActivationState, { fence }: EventOf<'once-gone'>): Step {
  const run = runUnder(state, fence)
  if (run === null || state.onceRun !== 'elsewhere') return only(state)
  return only(withOnce(state, { ...run, state: 'interrupted' }, 'unsaid'))
}

/** A report has been sent in this session with whatever the journal said before. */
export function onceSaid(state: ActivationState): ActivationState['onceRun'] {
  return state.onceRun === 'unsaid' && state.session !== null ? null : state.onceRun
}

function runUnder({ journal }: ActivationState, fence: OnceRun['fence']): OnceRun | null {
  const { once } = journal
  return once?.state === 'running' && sameFence(once.fence, fence) ? once : null
}

function withOnce(
  state: ActivationState,
  once: OnceRun,
  onceRun: ActivationState['onceRun'],
): ActivationState {
  return { ...state, journal: { ...state.journal, once }, onceRun }
}
