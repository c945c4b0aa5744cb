// The agent's machine for one app: what every event changes, then what to do next (reconcile.ts).
// Synchronous and total; no clock, disk, network or randomness.

import type { Desired } from '../desired.ts'
import { compareFence, sameFence } from '../fence.ts'
import { type Release, sameRelease } from '../release.ts'
import type { Failure } from '../report.ts'
import type { ActivationEffect, ActivationEvent, EventOf, EventType, Step } from './events.ts'
import { isCounted } from './goal.ts'
import { observe } from './observe.ts'
import { reconcile } from './reconcile.ts'
import {
  type ActivationState,
  type Attested,
  currentRelease,
  type Failed,
  noFailures,
  type Work,
} from './state.ts'

type Handlers = { [K in EventType]: (state: ActivationState, event: EventOf<K>) => Step }

/** The next state, to be saved where its journal changed, and what to do after that. */
export function transition(state: ActivationState, event: ActivationEvent): Step {
  const heard = handle(handlers, state, event)
  const step = reconcile(heard.state)
  const effects = [...heard.effects, ...step.effects]
  return { state: step.state, effects: withReport(state, step.state, event, effects) }
}

/** What an agent does first after it started: the same reconciliation, from journal and disk. */
export function resume(state: ActivationState): Step {
  return reconcile(state)
}

function handle<K extends EventType>(
  table: Handlers,
  state: ActivationState,
  event: EventOf<K>,
): Step {
  return table[event.type](state, event)
}

const handlers: Handlers = {
  'session-opened': (state, event) => only(retriedNow({ ...state, session: event.session })),
  'session-closed': (state, event) =>
    only(state.session === event.session ? { ...state, session: null } : state),
  'desired-received': receive,
  'disk-observed': (state, event) => only({ ...state, disk: event.disk }),
  'activation-due': (state, event) =>
    only(sameFence(event.fence, state.journal.fence) ? { ...state, due: event.fence } : state),
  'stage-progressed': (state, event) => {
    const { staging } = state
    if (staging === null || !sameRelease(staging.release, event.release)) return only(state)
    const progress = { bytes: event.bytes, bytesTotal: event.bytesTotal }
    return only({ ...state, staging: { ...staging, progress } })
  },
  'stage-ended': endStage,
  'swap-ended': endSwap,
  'reload-ended': endReload,
  'attest-ended': endAttest,
  'attest-due': (state) => only({ ...state, attested: dueAgain(state) }),
  'retry-due': (state) => only({ ...state, failed: withoutRetrying(state.failed) }),
}

/** What failed for want of the controller need not wait any longer. */
function retriedNow(state: ActivationState): ActivationState {
  const { attempts } = noFailures
  return { ...state, failed: withoutRetrying(state.failed), attempts }
}

function withoutRetrying({ act, stage }: ActivationState['failed']): ActivationState['failed'] {
  const left = (failed: Failed | null) => (failed?.outlook === 'final' ? failed : null)
  return { act: left(act), stage: left(stage) }
}

/** A higher fence is accepted whole; an equal one may only be timed anew; any other is not acted on. */
function receive(state: ActivationState, event: EventOf<'desired-received'>): Step {
  const { desired } = event
  if (event.session !== state.session) return only(state)
  const held = state.journal.fence
  switch (compareFence(desired.fence, held)) {
    case 'lower':
      return only(state)
    case 'conflict':
      return {
        state: { ...state, conflict: desired.fence },
        effects: held === null ? [] : [{ type: 'raise-conflict', held, heard: desired.fence }],
      }
    case 'equal':
      return only(timedAnew(state, desired))
    case 'higher':
      return only({
        ...state,
        journal: { ...state.journal, fence: desired.fence, told: desired },
        ...noFailures,
        conflict: null,
      })
  }
}

function timedAnew(state: ActivationState, desired: Desired): ActivationState {
  const { told } = state.journal
  if (told === null || told.run.activateAt === desired.run.activateAt) return state
  const run = { ...told.run, activateAt: desired.run.activateAt }
  return { ...state, journal: { ...state.journal, told: { ...told, run } } }
}

function endStage(state: ActivationState, event: EventOf<'stage-ended'>): Step {
  const { outcome, disk, release } = event
  const ended = { ...state, disk, staging: null }
  switch (outcome.kind) {
    case 'cancelled':
      return only(ended)
    case 'staged': {
      // What was found drifted before has been built anew.
      const attested = without(state.attested, release)
      return only({ ...ended, attested, attempts: { ...state.attempts, stage: 0 } })
    }
    case 'failed':
      // Cancelled work that failed instead was for a release that nobody wants any more.
      if (state.staging?.cancelling === true) return only(ended)
      return retrying(ended, 'stage', outcome.failure)
  }
}

function endSwap(state: ActivationState, event: EventOf<'swap-ended'>): Step {
  const { outcome, disk, fence } = event
  const ended = { ...state, disk, acting: null }
  if (outcome.kind === 'failed') return failedActing(ended, fence, outcome.failure)
  const activation = outcome.activation === null ? null : { ...outcome.activation, fence }
  const journal = { ...state.journal, activation }
  const current = currentRelease(disk)
  return only({ ...ended, journal, attested: without(state.attested, current) })
}

function endReload(state: ActivationState, event: EventOf<'reload-ended'>): Step {
  const ended = { ...state, acting: null }
  if (event.outcome.kind === 'failed') {
    return failedActing(ended, event.fence, event.outcome.failure)
  }
  // A swap that a newer decision asked for meanwhile has its own reload steps still to come.
  if (!sameFence(event.fence, state.journal.fence)) return only(ended)
  return only({ ...ended, journal: { ...state.journal, reloadDue: false } })
}

/** A counted host's failed activation takes the fleet back at once; anything else is tried again. */
function failedActing(
  state: ActivationState,
  fence: EventOf<'swap-ended'>['fence'],
  failure: Failure,
): Step {
  if (!sameFence(fence, state.journal.fence)) return only(state)
  const { told } = state.journal
  if (told !== null && isCounted(told)) {
    const act = { failure, outlook: 'final' as const }
    return only({ ...state, failed: { ...state.failed, act } })
  }
  return retrying(state, 'act', failure)
}

function retrying(state: ActivationState, work: Work, failure: Failure): Step {
  const attempt = state.attempts[work]
  return {
    state: {
      ...state,
      failed: { ...state.failed, [work]: { failure, outlook: 'retrying' } },
      attempts: { ...state.attempts, [work]: attempt + 1 },
    },
    effects: [{ type: 'retry-later', attempt }],
  }
}

function endAttest(state: ActivationState, event: EventOf<'attest-ended'>): Step {
  const found: Record<string, Attested> = Object.fromEntries(
    event.results.map(({ version, result }) => [
      version,
      { fence: event.fence, result, due: false },
    ]),
  )
  return only({ ...state, acting: null, attested: { ...state.attested, ...found } })
}

/** The release is looked at anew, whatever was found before. */
function without(
  attested: ActivationState['attested'],
  release: Release | null,
): ActivationState['attested'] {
  const others = Object.entries(attested).filter(([version]) => version !== release?.version)
  return Object.fromEntries(others)
}

function dueAgain(state: ActivationState): ActivationState['attested'] {
  return Object.fromEntries(
    Object.entries(state.attested).map(([version, last]) => [version, { ...last, due: true }]),
  )
}

/** A report whenever there is something new to say, and with every look at the disk. */
function withReport(
  before: ActivationState,
  after: ActivationState,
  event: ActivationEvent,
  effects: readonly ActivationEffect[],
): readonly ActivationEffect[] {
  if (after.session === null) return effects
  const regular = event.type === 'disk-observed' || event.type === 'session-opened'
  const news = JSON.stringify(observe(before)) !== JSON.stringify(observe(after))
  return regular || news ? [...effects, { type: 'report' }] : effects
}

function only(state: ActivationState): Step {
  return { state, effects: [] }
}
