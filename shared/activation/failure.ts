// What is wrong on a host: its operator's hold, a condition of its disk, or work that failed; and
// which of it holds up what.

import { type Fence, sameFence } from '../fence.ts'
import type { Failure } from '../report.ts'
import type { Step } from './events.ts'
import { isCounted, toldGoalOf } from './goal.ts'
import { type ActivationState, currentRelease, type Failed, type Work } from './state.ts'
import { doing, only } from './step.ts'

/** The one that is told: what holds up everything comes first. */
export function failureOf(state: ActivationState): Failure | null {
  const { act, gate, preflight, stage } = state.failed
  return holdOf(state) ?? conditionOf(state) ?? (act ?? gate ?? preflight ?? stage)?.failure ?? null
}

/** Whether something is wrong with what runs: a stage or a trial that failed beside it is not. */
export function isHampered(state: ActivationState): boolean {
  return conditionOf(state) !== null || state.failed.act !== null
}

/** Whether the host's phase is `failed`: a gate that is asked again leaves it `active`. */
export function hasFailed(state: ActivationState): boolean {
  const { gate } = state.failed
  const others = { ...state, failed: { ...state.failed, gate: null } }
  return gate?.outlook === 'final' || failureOf(others) !== null
}

function holdOf({ disk }: ActivationState): Failure | null {
  if (disk.hold === null) return null
  return {
    code: 'on-hold',
    message: `the host\u2019s own operator holds what runs: ${disk.hold}`,
    hint: 'Nothing is staged or swapped on this host before the hold is ended there.',
  }
}

function conditionOf(state: ActivationState): Failure | null {
  const { told } = state.journal
  const { current } = state.disk
  if (current.kind === 'directory' && told !== null && !told.hold) {
    return {
      code: 'current-is-directory',
      message: 'there is a real directory or file where `current` should be',
      hint: 'Run `lockstep adopt` on the host: it moves the directory, and never deletes it.',
    }
  }
  if (current.kind === 'unreadable') {
    return {
      code: 'disk-error',
      message: `the app\u2019s root cannot be read: ${current.reason}`,
      hint: 'Look at the disk and at the rights of the agent\u2019s user.',
    }
  }
  // What nobody told it to run is neither promised nor looked at again.
  const release = toldGoalOf(state).kind === 'release' ? currentRelease(state.disk) : null
  if (release !== null && state.attested[release.version]?.result === 'drifted') {
    return {
      code: 'tree-drifted',
      message: `files of ${release.version} were changed on this host after it was staged`,
      hint:
        state.config.drift === 'repair'
          ? 'The agent repairs them by itself; its log names them.'
          : 'The host is configured to report this only; the agent\u2019s log names the files.',
    }
  }
  return null
}

/** It is tried again by itself, later each time. */
export function retrying(state: ActivationState, work: Work, failure: Failure): Step {
  const attempt = state.attempts[work]
  return doing(
    {
      ...state,
      failed: { ...state.failed, [work]: { failure, outlook: 'retrying' } },
      attempts: { ...state.attempts, [work]: attempt + 1 },
    },
    { type: 'retry-later', attempt },
  )
}

/** A counted host's failure takes the fleet back at once; anywhere else it is tried again. */
export function failedUnder(
  state: ActivationState,
  work: 'act' | 'gate',
  fence: Fence,
  failure: Failure,
): Step {
  const { told } = state.journal
  if (!sameFence(fence, state.journal.fence) || told === null) return only(state)
  if (!isCounted(told)) return retrying(state, work, failure)
  const failed: Failed = { failure, outlook: 'final' }
  return only({ ...state, failed: { ...state.failed, [work]: failed } })
}

/** What waited to be tried again is tried now. */
export function withoutRetrying(
  state: ActivationState,
  works: readonly Work[],
): ActivationState['failed'] {
  const over = works.filter((work) => state.failed[work]?.outlook === 'retrying')
  return { ...state.failed, ...Object.fromEntries(over.map((work) => [work, null])) }
}
