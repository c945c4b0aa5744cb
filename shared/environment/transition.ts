// The controller's machine: one table of what every event does in every phase, and nothing else
// decides. Synchronous and total; no clock, disk, network or randomness.

import { limits } from '../limits.ts'
import { sameRelease } from '../release.ts'
import { goOn, judgeActivation, judgeRemoval, recordAttestation } from './activation.ts'
import { judgeBarrier, tryBarrier } from './barrier.ts'
import { holdUp, letGoOn, tryNextWave } from './between.ts'
import { abort, commit, judgeRollBack, rollBack, tryRolledBack } from './ending.ts'
import type { EnvironmentEvent, EventOf, EventType, Step } from './events.ts'
import { hear, tellIfBehind } from './hearing.ts'
import { drain, include, join, remove } from './membership.ts'
import { onceSaidDone } from './once.ts'
import { judgeElectedRemoved, judgeOnce, judgePreparing, onceOf } from './preparing.ts'
import { recover } from './recovery.ts'
import {
  answerOpenOrRefuse,
  answerWithRollout,
  refuseCancel,
  refuseDrain,
  refuseFenced,
  refuseRecover,
  refuseWaiting,
} from './refusals.ts'
import { planRollout } from './request.ts'
import { nextWaveOf, type Rollout } from './rollout.ts'
import {
  type EnvironmentState,
  type MachinePhase,
  machinePhaseOf,
  nextDeadlineAt,
  openRolloutOf,
} from './state.ts'
import {
  andThen,
  answering,
  decided,
  unchanged,
  withFacts,
  withRecord,
  withRollout,
} from './step.ts'

type Handlers = { [K in EventType]: (state: EnvironmentState, event: EventOf<K>) => Step }

/** The next state, what is recorded with it, and what is done once that is durable. */
export function transition(state: EnvironmentState, event: EnvironmentEvent): Step {
  return handle(table[machinePhaseOf(state.record)], state, event)
}

function handle<K extends EventType>(
  handlers: Handlers,
  state: EnvironmentState,
  event: EventOf<K>,
): Step {
  return handlers[event.type](state, event)
}

/** From the decision on, until it is judged: the same in both phases; activation.ts tells them apart. */
const afterDecision: Handlers = {
  'release-desired': answerOpenOrRefuse,
  'cancel-requested': (state, event) =>
    cancel(state, event, (s) => rollBack(s, 'cancelled', [], event.at)),
  'continue-requested': (state, event) =>
    betweenWaves(state, event, 'continued', isResting, (s) => letGoOn(s, event.at)),
  'pause-requested': (state, event) =>
    betweenWaves(state, event, 'paused', hasNextWave, (s) => holdUp(s, event.at)),
  'drain-requested': refuseDrain,
  'recover-requested': refuseRecover,
  'host-joined': (state, event) => join(state, event, 'left-behind'),
  'host-removed': (state, event) =>
    andThen(remove(state, event), (s) => judgeRemoval(s, event.host, event.at)),
  'host-reported': (state, event) =>
    onReport(state, event, (s) =>
      andThen(recordAttestation(s, event.host, event.at), (next) => tryNextWave(next, event.at)),
    ),
  'session-closed': closeSession,
  'deadline-passed': (state, event) => atDeadline(state, event.at, judgeActivation),
}

const table: Record<MachinePhase, Handlers> = {
  settled: {
    'release-desired': startRollout,
    'cancel-requested': refuseCancel,
    'continue-requested': refuseWaiting,
    'pause-requested': refuseWaiting,
    'drain-requested': drain,
    'recover-requested': refuseRecover,
    'host-joined': (state, event) => join(state, event, 'nothing'),
    'host-removed': remove,
    'host-reported': (state, event) => onReport(state, event, unchanged),
    'session-closed': closeSession,
    'deadline-passed': unchanged,
  },
  staging: {
    'release-desired': supersede,
    'cancel-requested': (state, event) =>
      cancel(state, event, (s) => abort(s, 'cancelled', event.at)),
    'continue-requested': refuseWaiting,
    'pause-requested': refuseWaiting,
    'drain-requested': refuseDrain,
    'recover-requested': refuseRecover,
    'host-joined': (state, event) => join(state, event, 'participating'),
    'host-removed': (state, event) => andThen(remove(state, event), (s) => tryBarrier(s, event.at)),
    'host-reported': (state, event) => onReport(state, event, (s) => tryBarrier(s, event.at)),
    'session-closed': closeSession,
    'deadline-passed': (state, event) => atDeadline(state, event.at, judgeBarrier),
  },
  preparing: {
    'release-desired': answerOpenOrRefuse,
    'cancel-requested': (state, event) =>
      cancel(state, event, (s) => abort(s, 'cancelled', event.at)),
    'continue-requested': refuseWaiting,
    'pause-requested': refuseWaiting,
    'drain-requested': refuseDrain,
    'recover-requested': refuseRecover,
    'host-joined': (state, event) => join(state, event, 'left-behind'),
    'host-removed': (state, event) =>
      andThen(remove(state, event), (s) => judgeElectedRemoved(s, event.host, event.at)),
    'host-reported': (state, event) =>
      onReport(state, event, (s) => judgeOnce(s, onceOf(state), event.at)),
    'session-closed': closeSession,
    'deadline-passed': (state, event) => atDeadline(state, event.at, judgePreparing),
  },
  activating: afterDecision,
  verifying: afterDecision,
  'rolling-back': {
    'release-desired': answerOpenOrRefuse,
    'cancel-requested': (state, event) => cancel(state, event, unchanged),
    'continue-requested': refuseWaiting,
    'pause-requested': refuseWaiting,
    'drain-requested': refuseDrain,
    'recover-requested': refuseRecover,
    'host-joined': (state, event) => join(state, event, 'left-behind'),
    'host-removed': (state, event) =>
      andThen(remove(state, event), (s) => tryRolledBack(s, event.at)),
    'host-reported': (state, event) =>
      onReport(state, event, (s) => recordAttestation(s, event.host, event.at)),
    'session-closed': closeSession,
    'deadline-passed': (state, event) => atDeadline(state, event.at, judgeRollBack),
  },
  fenced: {
    'release-desired': (state, event) => refuseFenced(state, event.ticket),
    'cancel-requested': (state, event) => refuseFenced(state, event.ticket),
    'continue-requested': (state, event) => refuseFenced(state, event.ticket),
    'pause-requested': (state, event) => refuseFenced(state, event.ticket),
    'drain-requested': (state, event) => refuseFenced(state, event.ticket),
    'recover-requested': recover,
    'host-joined': (state, event) => join(state, event, takesPartWhileFenced(state)),
    'host-removed': (state, event) => andThen(remove(state, event), (s) => unfence(s, event.at)),
    'host-reported': (state, event) => hear(state, event).step,
    'session-closed': closeSession,
    'deadline-passed': unchanged,
  },
}

function startRollout(state: EnvironmentState, event: EventOf<'release-desired'>): Step {
  const plan = planRollout(state.record, event.request, event.at)
  switch (plan.outcome) {
    case 'unchanged':
      return answering(state, event.ticket, {
        outcome: 'unchanged',
        release: event.request.release,
      })
    case 'include':
      return andThen(include(state, event.request.exclude, event.at), (s) =>
        answering(s, event.ticket, { outcome: 'unchanged', release: event.request.release }),
      )
    case 'refused':
      return answering(state, event.ticket, plan.answer)
    case 'commit':
      return andThen(commit(begun(state, plan.rollout, event.at), event.at, 'no-hosts'), (s) =>
        answerWithRollout(s, event.ticket, 'started'),
      )
    case 'start':
      return andThen(beginStaging(state, plan.rollout, event.at), (s) =>
        answerWithRollout(s, event.ticket, 'started'),
      )
  }
}

function begun(state: EnvironmentState, rollout: Rollout, at: number): EnvironmentState {
  const { record } = state
  const once =
    rollout.once === 'done'
      ? onceSaidDone(record.once, rollout.target, record.decision?.fence ?? null, at)
      : record.once
  return withRecord(state, {
    rollout,
    desired: rollout.target,
    excluded: rollout.excluded,
    once,
  })
}

function beginStaging(state: EnvironmentState, rollout: Rollout, at: number): Step {
  const content = {
    kind: 'stage' as const,
    rollout: rollout.id,
    wave: null,
    counted: [],
    run: rollout.fallback,
    fallback: rollout.fallback,
    stage: rollout.target,
  }
  return andThen(decided(begun(state, rollout, at), content, at), (s) =>
    withFacts(s, { type: 'rollout-started', rollout }),
  )
}

/** While staging, the newest request wins; one that would be refused aborts nothing. */
function supersede(state: EnvironmentState, event: EventOf<'release-desired'>): Step {
  const { request, ticket, at } = event
  const open = openRolloutOf(state.record)
  if (open !== null && sameRelease(open.target, request.release)) {
    return answerWithRollout(state, ticket, 'open')
  }
  if (sameRelease(state.record.committed, request.release)) {
    return andThen(abort(state, 'superseded', at), (s) => answerWithRollout(s, ticket, 'returned'))
  }
  const plan = planRollout(state.record, request, at)
  if (plan.outcome === 'refused') return answering(state, ticket, plan.answer)
  return andThen(abort(state, 'superseded', at), (s) => startRollout(s, event))
}

function cancel(
  state: EnvironmentState,
  event: EventOf<'cancel-requested'>,
  stop: (state: EnvironmentState) => Step,
): Step {
  const open = openRolloutOf(state.record)
  if (open === null || (event.rollout !== null && event.rollout !== open.id)) {
    return refuseCancel(state, event)
  }
  return andThen(stop(state), (s) => answerWithRollout(s, event.ticket, 'cancelled'))
}

/** Lets the rollout go on, or holds it up, where it is between waves or about to be. */
function betweenWaves(
  state: EnvironmentState,
  event: EventOf<'continue-requested' | 'pause-requested'>,
  outcome: 'continued' | 'paused',
  isPossible: (rollout: Rollout) => boolean,
  move: (state: EnvironmentState) => Step,
): Step {
  const open = openRolloutOf(state.record)
  const isMeant = open !== null && (event.rollout === null || event.rollout === open.id)
  if (!isMeant || !isPossible(open)) return refuseWaiting(state, event)
  return andThen(move(state), (s) => answerWithRollout(s, event.ticket, outcome))
}

/** Asked for twice, it goes on once. */
function isResting({ between }: Rollout): boolean {
  return between !== null
}

function hasNextWave(rollout: Rollout): boolean {
  return nextWaveOf(rollout) !== null
}

function onReport(
  state: EnvironmentState,
  event: EventOf<'host-reported'>,
  then: (state: EnvironmentState) => Step,
): Step {
  const heard = hear(state, event)
  if (heard.outcome !== 'heard') return heard.step
  const step = andThen(heard.step, then)
  // A decision that the report led to is told to everybody, also to the one that reported.
  const isTold = step.effects.some((effect) => effect.type === 'tell-all')
  return isTold ? step : andThen(step, (s) => tellIfBehind(s, event.host))
}

function closeSession(state: EnvironmentState, event: EventOf<'session-closed'>): Step {
  const view = state.sessions[event.host]
  if (view === undefined || view.session !== event.session) return unchanged(state)
  const closed = { ...view, open: false }
  return unchanged({ ...state, sessions: { ...state.sessions, [event.host]: closed } })
}

function atDeadline(
  state: EnvironmentState,
  at: number,
  judge: (state: EnvironmentState, at: number) => Step,
): Step {
  const deadlineAt = nextDeadlineAt(state.record)
  return deadlineAt === null || at < deadlineAt ? unchanged(state) : judge(state, at)
}

/** As in the phase that the fence overlays, which may go on. */
function takesPartWhileFenced(state: EnvironmentState): Parameters<typeof join>[2] {
  const open = openRolloutOf(state.record)
  if (open === null) return 'nothing'
  return open.phase === 'staging' ? 'participating' : 'left-behind'
}

/** When the last fencing host was removed: the phase goes on, after one lease to hear everyone. */
function unfence(state: EnvironmentState, at: number): Step {
  if (machinePhaseOf(state.record) === 'fenced') return unchanged(state)
  const granted = withRollout(state, (rollout) => ({
    ...rollout,
    deadlineAt: Math.max(rollout.deadlineAt, at + limits.leaseMs),
  }))
  const told = { state: granted, facts: [], effects: [{ type: 'tell-all' as const }] }
  return andThen(told, (s) => goOnAfterFence(s, at))
}

function goOnAfterFence(state: EnvironmentState, at: number): Step {
  switch (machinePhaseOf(state.record)) {
    case 'activating':
    case 'verifying':
    case 'rolling-back':
      return goOn(state, at)
    // Before the decision everybody is judged by new reports.
    case 'staging':
    case 'preparing':
    case 'settled':
    case 'fenced':
      return unchanged(state)
  }
}
