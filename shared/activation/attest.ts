// The attest of what is promised: when the trees are looked at, and what was found.

import { type Fence, sameFence } from '../fence.ts'
import type { Release } from '../release.ts'
import type { EventOf, Step } from './events.ts'
import { isHampered, retrying } from './failure.ts'
import { canSwap, type Goal, isAtGoal, toldGoalOf } from './goal.ts'
import { lackingRelease } from './lacking.ts'
import { type ActivationState, type Attested, isHeld } from './state.ts'
import { doing, only } from './step.ts'

/** Whether the release was found whole under the persisted fence. */
export function isAttested(state: ActivationState, { version }: Release): boolean {
  const attested = state.attested[version]
  return (
    attested !== undefined &&
    attested.result === 'whole' &&
    sameFence(attested.fence, state.journal.fence)
  )
}

/** The host is on what it was told to run, its steps are done, and the disk was found to say so. */
export function attestsGoal(state: ActivationState, goal: Goal): boolean {
  return (
    goal.kind === 'release' &&
    isAtGoal(state, goal) &&
    isAttested(state, goal.release) &&
    !state.journal.reloadDue &&
    state.acting?.kind !== 'activate' &&
    !isHampered(state)
  )
}

/**
 * Every epoch promises anew, so every epoch looks at the trees anew. What is about to be swapped to
 * was looked at before it was promised, and is looked at after the swap: in between nothing may
 * hold up the rename. To look changes nothing, so its own operator's hold is no reason not to.
 */
export function attestWhatIsPromised(state: ActivationState): Step {
  const { told, fence } = state.journal
  if (fence === null || told === null || told.hold || state.acting !== null) return only(state)
  const goal = toldGoalOf(state)
  const isAwaited = !isAtGoal(state, goal) && canSwap(state, goal)
  const promised = [goal.kind === 'release' && !isAwaited ? goal.release : null, told.stage]
  const releases = promised.filter(
    (release): release is Release =>
      release !== null && isHeld(state.disk, release) && needsAttest(state, release),
  )
  if (releases.length === 0) return only(state)
  const acting = { kind: 'attest' as const, fence, releases }
  return doing({ ...state, acting }, { type: 'attest', fence, releases })
}

function needsAttest(state: ActivationState, release: Release): boolean {
  const last = state.attested[release.version]
  return last === undefined || last.due || !sameFence(last.fence, state.journal.fence)
}

/**
 * What has drifted is staged again at once; but what was drifted as soon as it had been staged is
 * being changed by somebody, and the next try waits.
 */
export function endAttest(state: ActivationState, event: EventOf<'attest-ended'>): Step {
  if (isOvertaken(state, event.fence)) return only(state)
  const found: Record<string, Attested> = Object.fromEntries(
    event.results.map(({ version, result }) => [
      version,
      { fence: event.fence, result, due: false },
    ]),
  )
  const ended = { ...state, acting: null, attested: { ...state.attested, ...found } }
  const fresh = event.results.filter(({ version }) => state.attested[version] === undefined)
  const lacking = lackingRelease(ended)
  if (fresh.some(({ version, result }) => result === 'drifted' && version === lacking?.version)) {
    return retrying(ended, 'stage', {
      code: 'tree-drifted',
      message: `files of ${lacking?.version} were changed as soon as it had been staged`,
      hint: 'Look for what writes into it; the agent\u2019s log names the files.',
    })
  }
  if (!fresh.some(({ result }) => result === 'whole')) return only(ended)
  return only({ ...ended, attempts: { ...ended.attempts, stage: 0 } })
}

/** A swap has come in between, and what was seen before it is looked at again after it. */
function isOvertaken({ acting }: ActivationState, fence: Fence): boolean {
  return acting !== null && (acting.kind !== 'attest' || !sameFence(acting.fence, fence))
}

/** The release is looked at anew, whatever was found before. */
export function forgotten(
  attested: ActivationState['attested'],
  release: Release | null,
): ActivationState['attested'] {
  const others = Object.entries(attested).filter(([version]) => version !== release?.version)
  return Object.fromEntries(others)
}

export function dueAgain(attested: ActivationState['attested']): ActivationState['attested'] {
  return Object.fromEntries(
    Object.entries(attested).map(([version, last]) => [version, { ...last, due: true }]),
  )
}
