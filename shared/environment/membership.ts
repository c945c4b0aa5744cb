// Hosts that join and leave an environment: every change of the set is an event with a fact.

import { settle } from './ending.ts'
import type { EventOf, Fact, Step } from './events.ts'
import { newParticipant } from './request.ts'
import type { Participant } from './rollout.ts'
import { machinePhaseOf, type EnvironmentState } from './state.ts'
import { andThen, answering, unchanged, withFacts, withRecord, withRollout } from './step.ts'

/** A joiner takes part while staging; after the decision it is left behind until the end. */
export function join(
  state: EnvironmentState,
  event: EventOf<'host-joined'>,
  takesPartAs: Extract<Participant['state'], 'participating' | 'left-behind'> | 'nothing',
): Step {
  const { host, name } = event
  const known = state.record.members[host]
  if (known?.name === name) return unchanged(state)
  const member = { host, name }
  const joined = withRecord(state, { members: { ...state.record.members, [host]: member } })
  const fact = { type: 'host-joined' as const, host, name }
  // A host that is excluded or drained stays so, also when it comes back: it still holds what it was told.
  const isOut = [state.record.excluded, state.record.drained].some((out) => host in out)
  if (takesPartAs === 'nothing' || isOut) {
    return withFacts(joined, fact)
  }
  const taking = withRollout(joined, (rollout) => {
    const was = rollout.participants[host]
    // Who counts is frozen in the decision: coming back, or under another name, changes nothing.
    const isKept = was !== undefined && (known !== undefined || was.counted)
    const participant = isKept
      ? { ...was, name }
      : newParticipant(member, takesPartAs, was?.wave ?? rollout.waves.length - 1)
    return { ...rollout, participants: { ...rollout.participants, [host]: participant } }
  })
  return withFacts(taking, fact)
}

/** Takes a host out, or lets it in again: it then comes to what is committed. */
export function drain(state: EnvironmentState, event: EventOf<'drain-requested'>): Step {
  const { host, reason, at, ticket } = event
  const member = state.record.members[host]
  if (member === undefined) {
    return answering(state, ticket, {
      outcome: 'refused',
      code: 'unknown-host',
      message: `host ${host} is not in ${state.record.app} in ${state.record.environment}`,
      hint: 'See `lockstep hosts`.',
    })
  }
  const { drained } = state.record
  const answer = { outcome: 'drained' as const, host, reason }
  if ((drained[host] ?? null) === reason) return answering(state, ticket, answer)
  const next = reason === null ? without(drained, host) : { ...drained, [host]: reason }
  const { name } = member
  const fact: Fact =
    reason === null
      ? { type: 'host-let-in', host, name }
      : { type: 'host-drained', host, name, reason }
  const recorded = withFacts(withRecord(state, { drained: next }), fact)
  return andThen(
    andThen(recorded, (s) => retold(s, at)),
    (s) => answering(s, ticket, answer),
  )
}

/** Hosts that were excluded and no longer are come to what is committed. */
export function include(
  state: EnvironmentState,
  exclude: Readonly<Record<string, string>>,
  at: number,
): Step {
  const still = Object.entries(state.record.excluded).filter(([host]) => host in exclude)
  return retold(withRecord(state, { excluded: Object.fromEntries(still) }), at)
}

/** Nobody hears of a change but under a new epoch. */
function retold(state: EnvironmentState, at: number): Step {
  return state.record.decision === null ? unchanged(state) : settle(state, null, at)
}

/** Forgets the host, but not that it is excluded or drained: it holds that it was told so. */
export function remove(state: EnvironmentState, event: EventOf<'host-removed'>): Step {
  const { host } = event
  const member = state.record.members[host]
  if (member === undefined) return unchanged(state)
  const fencing = state.record.fencedBy[host] !== undefined
  const record = withRecord(state, {
    members: without(state.record.members, host),
    fencedBy: without(state.record.fencedBy, host),
  })
  const left = withRollout(record, (rollout) => {
    const participant = rollout.participants[host]
    if (participant === undefined) return rollout
    const removed: Participant = { ...participant, state: 'removed' }
    return { ...rollout, participants: { ...rollout.participants, [host]: removed } }
  })
  const forgotten = { ...left, sessions: without(left.sessions, host) }
  const fact = { type: 'host-removed' as const, host, name: member.name }
  const unfenced = fencing && machinePhaseOf(forgotten.record) !== 'fenced'
  return unfenced
    ? withFacts(forgotten, fact, { type: 'unfenced', host })
    : withFacts(forgotten, fact)
}

function without<T>(map: Readonly<Record<string, T>>, key: string): Record<string, T> {
  return Object.fromEntries(Object.entries(map).filter(([name]) => name !== key))
}
