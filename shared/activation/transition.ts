// The agent's machine for one app: what every event changes, then what to do next (reconcile.ts).
// Synchronous and total; no clock, disk, network or randomness.

import type { Desired } from '../desired.ts'
import { compareFence, sameFence } from '../fence.ts'
import { sameRelease } from '../release.ts'
import { dueAgain, endAttest, forgotten } from './attest.ts'
import type { ActivationEffect, ActivationEvent, EventOf, EventType, Step } from './events.ts'
import { failedUnder, retrying, withoutRetrying } from './failure.ts'
import { dueWhileSoaking } from './gate.ts'
import { observe } from './observe.ts'
import { endInterrupted, endOnce, onceSaid } from './once.ts'
import { reconcile } from './reconcile.ts'
import { type ActivationState, currentRelease, noFailures, unproven } from './state.ts'
import { only } from './step.ts'
import { endTrial } from './trial.ts'
import { untried } from './preflight.ts'

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
  'disk-observed': look,
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
  'trial-ended': endTrial,
  'once-ended': endOnce,
  'once-gone': endInterrupted,
  'attest-due': (state) => only({ ...state, attested: dueAgain(state.attested) }),
  'retry-due': (state) =>
    only({ ...state, failed: withoutRetrying(state, ['act', 'stage', 'preflight', 'gate']) }),
}

/** What failed for want of the controller need not wait any longer. */
function retriedNow(state: ActivationState): ActivationState {
  const failed = withoutRetrying(state, ['act', 'stage'])
  return { ...state, failed, attempts: { ...state.attempts, act: 0, stage: 0 } }
}

/** The look of every report: between waves it asks for the gate once more. */
function look(state: ActivationState, { disk }: EventOf<'disk-observed'>): Step {
  const seen = { ...state, disk }
  return only({ ...seen, gate: dueWhileSoaking(seen), onceRun: onceSaid(seen) })
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
    case 'staged':
      // What was found drifted before has been built anew; whether it lasts is seen by an attest.
      return only({
        ...ended,
        attested: forgotten(state.attested, release),
        fit: untried(state.fit, release),
      })
    case 'failed':
      // Cancelled work that failed instead was for a release that nobody wants any more.
      if (state.staging?.cancelling === true) return only(ended)
      return retrying(ended, 'stage', outcome.failure)
  }
}

function endSwap(state: ActivationState, event: EventOf<'swap-ended'>): Step {
  const { outcome, disk, fence } = event
  const ended = { ...state, disk, acting: null }
  if (outcome.kind === 'failed') return failedUnder(ended, 'act', fence, outcome.failure)
  const activation = outcome.activation === null ? null : { ...outcome.activation, fence }
  const journal = { ...state.journal, activation }
  const attested = forgotten(state.attested, currentRelease(disk))
  return only({ ...ended, journal, attested, cleared: null, gate: unproven })
}

function endReload(state: ActivationState, event: EventOf<'reload-ended'>): Step {
  const ended = { ...state, acting: null }
  if (event.outcome.kind === 'failed') {
    return failedUnder(ended, 'act', event.fence, event.outcome.failure)
  }
  // A swap that a newer decision asked for meanwhile has its own reload steps still to come.
  if (!sameFence(event.fence, state.journal.fence)) return only(ended)
  return only({ ...ended, journal: { ...state.journal, reloadDue: false } })
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
