// The barrier: opens once per wave, and what is decided is recorded as it opens: to make the once run
// first where one is due, or to activate.

import { limits } from '../limits.ts'
import { abort } from './ending.ts'
import type { Step } from './events.ts'
import { activatedFirst } from './history.ts'
import { electedOf, isOnceDue, isOnceUnsettled, type OnceRecord, withOnce } from './once.ts'
import { declaresOf, isHeard, isReady, longestOf } from './readiness.ts'
import {
  comingOf,
  countedOf,
  floorOf,
  given,
  hostsMinOf,
  type Participant,
  remainingOf,
  type Rollout,
} from './rollout.ts'
import { openRolloutOf, type EnvironmentState, type OpenRollout } from './state.ts'
import {
  andThen,
  decided,
  inPhase,
  unchanged,
  withFacts,
  withParticipants,
  withRecord,
} from './step.ts'

/** The hosts that are ready, and who of them is elected for a once run that is due. */
interface Candidates {
  readonly ready: readonly Participant[]
  readonly elected: Participant | null
}

/** Opens when all participants are ready, and enough; judged at every report before the decision. */
export function tryBarrier(state: EnvironmentState, at: number): Step {
  const rollout = undecided(state)
  if (rollout === null) return unchanged(state)
  const participants = remainingOf(rollout)
  if (participants.length === 0) return abort(state, 'no-participants', at)
  if (participants.length < hostsMinOf(rollout, participants.length)) return unchanged(state)
  const candidates = candidatesOf(state, rollout, at)
  return candidates.ready.length === participants.length
    ? open(state, rollout, candidates, at)
    : unchanged(state)
}

/** At the deadline: those ready, if they are enough; otherwise abort. */
export function judgeBarrier(state: EnvironmentState, at: number): Step {
  const rollout = undecided(state)
  if (rollout === null) return unchanged(state)
  const candidates = candidatesOf(state, rollout, at)
  const remaining = remainingOf(rollout)
  const isEnough = candidates.ready.length >= hostsMinOf(rollout, remaining.length)
  // A run that only those declare who are not ready is not left out for their sake.
  const lacksRunner =
    candidates.elected === null &&
    isOnceDue(state.record, rollout, remaining, (host) => declaresOf(state, host))
  return isEnough && !lacksRunner
    ? open(state, rollout, candidates, at)
    : abort(state, 'stage-deadline', at)
}

/** Opens the next wave to those of its hosts that are ready; null while they are not all. */
export function tryWave(state: EnvironmentState, wave: number, at: number): Step | null {
  const rollout = openRolloutOf(state.record)
  if (rollout === null) return null
  const coming = comingOf(rollout, wave)
  const ready = coming.filter((p) => isReady(state, rollout, p.host, at))
  return ready.length === coming.length ? activate(state, rollout, ready, wave, at) : null
}

/** At the wave's deadline: those ready, if enough remain with them; null if they are too few. */
export function judgeWave(state: EnvironmentState, wave: number, at: number): Step | null {
  const rollout = openRolloutOf(state.record)
  if (rollout === null) return null
  const coming = comingOf(rollout, wave)
  const ready = coming.filter((p) => isReady(state, rollout, p.host, at))
  const remaining = remainingOf(rollout).length - (coming.length - ready.length)
  if (ready.length === 0 || remaining < floorOf(rollout)) return null
  return activate(state, rollout, ready, wave, at)
}

/** The rollout while nothing was told to activate: staging, or its once run is done. */
function undecided(state: EnvironmentState): OpenRollout | null {
  const rollout = openRolloutOf(state.record)
  return rollout?.phase === 'staging' || rollout?.phase === 'preparing' ? rollout : null
}

function candidatesOf(state: EnvironmentState, rollout: Rollout, at: number): Candidates {
  const ready = remainingOf(rollout).filter((p) => isReady(state, rollout, p.host, at))
  const { elected, agreeing } = electedOf(state.record, rollout, ready, (host) =>
    declaresOf(state, host),
  )
  return { ready: agreeing, elected }
}

function open(
  state: EnvironmentState,
  rollout: OpenRollout,
  { ready, elected }: Candidates,
  at: number,
): Step {
  if (elected !== null) {
    return isOnceUnsettled(state.record, rollout)
      ? abort(state, 'once-unknown', at)
      : prepare(state, rollout, elected, at)
  }
  const left = withParticipants(rollout, (p) =>
    p.state === 'participating' && !ready.includes(p) ? { ...p, state: 'left-behind' } : p,
  )
  const first = Math.min(...ready.map((p) => p.wave))
  const own = ready.filter((p) => p.wave === first)
  return activate(
    withRecord(state, { rollout: left }),
    { ...left, phase: rollout.phase },
    own,
    first,
    at,
  )
}

/** One host is told to make the once run; nobody swaps before it is done. */
function prepare(
  state: EnvironmentState,
  rollout: OpenRollout,
  elected: Participant,
  at: number,
): Step {
  const { once, onceMs } = declaresOf(state, elected.host) ?? { once: null, onceMs: 0 }
  const givenMs = Math.max(limits.onceDeadlineMs, onceMs + limits.leaseMs)
  const preparing: Rollout = given(inPhase(rollout, 'preparing', at), at, givenMs)
  const { target, fallback, id } = rollout
  const content = {
    kind: 'prepare' as const,
    rollout: id,
    wave: null,
    counted: [elected.host],
    run: fallback,
    fallback,
    stage: target,
  }
  return andThen(decided(withRecord(state, { rollout: preparing }), content, at), (s) => {
    const fence = s.record.decision?.fence ?? null
    const told = {
      tree: target.tree,
      state: 'told' as const,
      host: elected.host,
      fence,
      rollout: id,
    }
    const run: OnceRecord = { ...told, quiet: false, message: null, at, declaration: once }
    const recorded = withRecord(s, { once: withOnce(s.record.once, run) })
    return withFacts(recorded, { type: 'once-told', run, rollout: preparing })
  })
}

/** The decision for one wave: its own hosts, and those of earlier waves that remain. */
function activate(
  state: EnvironmentState,
  rollout: OpenRollout,
  ready: readonly Participant[],
  wave: number,
  at: number,
): Step {
  const told = ready.map((p) => p.host)
  const judged = withParticipants(inPhase(rollout, 'activating', at), (p) => {
    if (told.includes(p.host)) return { ...p, counted: true }
    const isLate = p.state === 'participating' && !p.counted && p.wave === wave
    return isLate ? { ...p, state: 'left-behind' } : p
  })
  const counted = countedOf(judged)
    .map((p) => p.host)
    .sort()
  const longestMs = longestOf(state, counted, (declares) => declares.activationMs)
  const activating: Rollout = {
    ...given(judged, at, limits.activationDeadlineMs + longestMs),
    wave,
    between: null,
    activateAt: at + leadMs(state, told, at),
  }
  const opened = withRecord(state, {
    rollout: activating,
    history: activatedFirst(rollout.target, state.record.history),
  })
  const content = {
    kind: 'activate' as const,
    rollout: rollout.id,
    wave,
    counted,
    run: rollout.target,
    fallback: rollout.fallback,
    stage: rollout.target,
  }
  return andThen(decided(opened, content, at), (s) =>
    withFacts(s, { type: 'barrier-opened', rollout: activating }),
  )
}

/** Long enough that the message is everywhere before the instant that it names. */
function leadMs(state: EnvironmentState, hosts: readonly string[], at: number): number {
  const roundTrips = hosts
    .map((host) => state.sessions[host])
    .flatMap((view) =>
      isHeard(view, at) && view.report.clock ? [view.report.clock.roundTripMs] : [],
    )
    .sort((a, b) => a - b)
  const p99 = roundTrips[Math.ceil(roundTrips.length * 0.99) - 1] ?? 0
  return Math.min(limits.leadMaxMs, Math.max(limits.leadMinMs, limits.leadRoundTrips * p99))
}
