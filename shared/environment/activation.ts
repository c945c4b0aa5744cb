// Between the activate decision and the rollout's end: what hosts attest, and what a loss means.

import { limits } from '../limits.ts'
import { sameFence } from '../fence.ts'
import { judgeBetween, restOrCommit } from './between.ts'
import { rollBack, tryRolledBack } from './ending.ts'
import type { Step } from './events.ts'
import { attestedBy, doubtfulOf, hasAttested, longestOf, unhealthyOf } from './readiness.ts'
import {
  type Attestation,
  countedOf,
  floorOf,
  given,
  type Participant,
  remainingOf,
  type Rollout,
} from './rollout.ts'
import type { RolloutReason } from './rollout.ts'
import { openRolloutOf, type EnvironmentState, type OpenRollout } from './state.ts'
import { andThen, inPhase, unchanged, withFacts, withParticipants, withRecord } from './step.ts'

/** Records what a host's report says under the newest decision, and goes on from there. */
export function recordAttestation(state: EnvironmentState, host: string, at: number): Step {
  const rollout = openRolloutOf(state.record)
  const view = state.sessions[host]
  const decision = state.record.decision
  if (rollout === null || view === undefined || decision === null) return unchanged(state)
  if (!sameFence(view.report.fence, decision.fence)) return unchanged(state)
  const participant = rollout.participants[host]
  if (participant === undefined || !participant.counted || participant.state !== 'participating') {
    return unchanged(state)
  }
  const kind = attestedBy(view, rollout)
  const { report } = view
  const { epoch } = decision.fence
  const heard: Participant = {
    ...participant,
    attested: kind === null ? ofBefore(participant.attested, epoch) : { epoch, kind },
    activation:
      rollout.phase === 'rolling-back'
        ? participant.activation
        : (report.activation ?? participant.activation),
    // On the way back the failure that led there stays, so that the end can name it.
    failure:
      rollout.phase === 'rolling-back' ? (report.failure ?? participant.failure) : report.failure,
  }
  if (sameParticipant(participant, heard)) return unchanged(state)
  const participants = { ...rollout.participants, [host]: heard }
  return goOn(withRecord(state, { rollout: { ...rollout, participants } }), at)
}

/** Everything that follows from what the counted hosts have attested so far. */
export function goOn(state: EnvironmentState, at: number): Step {
  const rollout = openRolloutOf(state.record)
  if (rollout === null) return unchanged(state)
  if (rollout.phase === 'rolling-back') return tryRolledBack(state, at)
  const counted = countedOf(rollout)
  const failed = counted.filter((p) => p.failure !== null)
  if (failed.length > 0) return rollBack(state, 'host-failed', hostsOf(failed), at)
  if (isTooFew(rollout, counted.length, remainingOf(rollout).length)) {
    return rollBack(state, 'host-removed', [], at)
  }
  const epoch = state.record.decision?.fence.epoch ?? 0
  if (rollout.phase === 'activating') {
    const all = counted.every((p) => hasAttested(p, epoch, ['active', 'healthy']))
    return all ? andThen(startVerifying(state, rollout, at), (s) => goOn(s, at)) : unchanged(state)
  }
  return unhealthyOf(state, rollout).length === 0 ? restOrCommit(state, at) : unchanged(state)
}

/** At the deadline: hosts that are lost or late are dropped if the policy allows, or all go back. */
export function judgeActivation(state: EnvironmentState, at: number): Step {
  const rollout = openRolloutOf(state.record)
  if (rollout === null) return unchanged(state)
  const { between } = rollout
  if (between !== null) {
    const lost = between.step === 'barrier' ? doubtfulOf(state, rollout, at) : []
    if (lost.length > 0) return loseHosts(state, lost, 'verify-deadline', at)
    return judgeBetween(state, between, at)
  }
  const epoch = state.record.decision?.fence.epoch ?? 0
  const activating = rollout.phase === 'activating'
  const wanted = activating ? (['active', 'healthy'] as const) : (['healthy'] as const)
  const late = countedOf(rollout).filter((p) => !hasAttested(p, epoch, wanted))
  return loseHosts(state, late, activating ? 'activation-deadline' : 'verify-deadline', at)
}

/** A counted host that is removed is lost at once; without one of a later wave, fewer remain. */
export function judgeRemoval(state: EnvironmentState, host: string, at: number): Step {
  const rollout = openRolloutOf(state.record)
  const participant = rollout?.participants[host]
  if (participant === undefined) return unchanged(state)
  if (!participant.counted) return goOn(state, at)
  return loseHosts(state, [], 'host-removed', at, [participant])
}

/** `gone` are lost already (removed); `late` are dropped here, if those that remain are enough. */
function loseHosts(
  state: EnvironmentState,
  late: readonly Participant[],
  reason: RolloutReason,
  at: number,
  gone: readonly Participant[] = [],
): Step {
  const rollout = openRolloutOf(state.record)
  if (rollout === null) return unchanged(state)
  const counted = countedOf(rollout).length - late.length
  const remaining = remainingOf(rollout).length - late.length
  if (isTooFew(rollout, counted, remaining)) {
    return rollBack(state, reason, hostsOf([...late, ...gone]), at)
  }
  const lost = hostsOf(late)
  const dropped = withParticipants(rollout, (p) =>
    lost.includes(p.host) ? { ...p, state: 'dropped' } : p,
  )
  const facts = [...late, ...gone].map((p) => ({
    type: 'host-dropped' as const,
    rollout: dropped,
    host: p.host,
    name: p.name,
    reason,
  }))
  return andThen(withFacts(withRecord(state, { rollout: dropped }), ...facts), (s) => goOn(s, at))
}

/** Those counted so far are never nobody; with those yet to come they meet the requirement. */
function isTooFew(rollout: Rollout, counted: number, remaining: number): boolean {
  return counted < 1 || remaining < floorOf(rollout)
}

/** A host that no longer says what it said under this epoch takes its word back. */
function ofBefore(attested: Attestation | null, epoch: number): Attestation | null {
  return attested?.epoch === epoch ? null : attested
}

function startVerifying(state: EnvironmentState, rollout: OpenRollout, at: number): Step {
  const counted = hostsOf(countedOf(rollout))
  const gateMs = longestOf(state, counted, (declares) => declares.gateMs)
  const givenMs = limits.verifyDeadlineMs + gateMs
  const verifying: Rollout = given(inPhase(rollout, 'verifying', at), at, givenMs)
  return withFacts(withRecord(state, { rollout: verifying }), {
    type: 'verifying-started',
    rollout: verifying,
  })
}

function hostsOf(participants: readonly Participant[]): readonly string[] {
  return participants.map((p) => p.host)
}

function sameParticipant(a: Participant, b: Participant): boolean {
  return (
    a.attested?.epoch === b.attested?.epoch &&
    a.attested?.kind === b.attested?.kind &&
    a.activation?.activatedAt === b.activation?.activatedAt &&
    a.failure?.code === b.failure?.code &&
    a.failure?.message === b.failure?.message
  )
}
