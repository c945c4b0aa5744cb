// Hosts that join and leave an environment: every change of the set is an event with a fact.

import type { EventOf, Step } from './events.ts'
import { newParticipant } from './request.ts'
import type { Participant } from './rollout.ts'
import { machinePhaseOf, type EnvironmentState } from './state.ts'
import { unchanged, withFacts, withRecord, withRollout } from './step.ts'

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
  // A host that is excluded stays so, also when it comes back: it still holds what it was told.
  if (takesPartAs === 'nothing' || state.record.excluded[host] !== undefined) {
    return withFacts(joined, fact)
  }
  const taking = withRollout(joined, (rollout) => {
    const was = rollout.participants[host]
    // Who counts is frozen in the decision: coming back, or under another name, changes nothing.
    const isKept = was !== undefined && (known !== undefined || was.counted)
    const participant = isKept ? { ...was, name } : newParticipant(member, takesPartAs)
    return { ...rollout, participants: { ...rollout.participants, [host]: participant } }
  })
  return withFacts(taking, fact)
}

/** Forgets the host, but not that it is excluded; its fence no longer counts. */
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
