// The end of being fenced: an operator says which release is true, and a new term begins.

import { limits } from '../limits.ts'
import { sameRelease } from '../release.ts'
import { settle } from './ending.ts'
import { activatedFirst } from './history.ts'
import type { EventOf, Step } from './events.ts'
import { onceAfterRecovery } from './once.ts'
import { refuseTerm } from './refusals.ts'
import { openRolloutOf, type EnvironmentState } from './state.ts'
import { andThen, answering, inPhase, withFacts, withRecord } from './step.ts'

/**
 * Aborts an open rollout and records the release as committed under (highest term seen + 1, 1);
 * hosts converge one by one. Refused with `run-required` when hosts attest another release than
 * the stored one and none was named, and with `no-higher-term` when agents would not hear one.
 */
export function recover(state: EnvironmentState, event: EventOf<'recover-requested'>): Step {
  const { record } = state
  const differing = hostsElsewhere(state)
  if (event.run === null && differing.length > 0) {
    return answering(state, event.ticket, {
      outcome: 'refused',
      code: 'run-required',
      message: `${differing.length} hosts run another release than the stored one`,
      hint: 'Name the release that is to run: `lockstep controller recover APP --env E --run VERSION`.',
      details: { stored: record.committed?.version ?? null, hosts: differing },
    })
  }
  const release = event.run ?? record.committed
  const terms = Object.values(record.fencedBy).map((by) => by.fence.term)
  const term = Math.max(record.term, ...terms) + 1
  // Agents refuse a number above the wire's, and would hear nothing of this controller any more.
  if (term > limits.fenceNumberMax) return refuseTerm(state, event)
  const open = openRolloutOf(record)
  const over =
    open === null
      ? null
      : { ...inPhase(open, 'aborted', event.at), reason: 'recovered' as const, between: null }
  const recovered = withRecord(state, {
    term,
    fencedBy: {},
    once: onceAfterRecovery(record.once, event.at),
    committed: release,
    desired: release,
    rollout: over ?? record.rollout,
    history: release === null ? record.history : activatedFirst(release, record.history),
  })
  return andThen(settle(recovered, open?.id ?? null, event.at), (s) =>
    andThen(
      withFacts(
        s,
        { type: 'recovered', term, release },
        ...(over === null ? [] : [{ type: 'rollout-ended' as const, rollout: over }]),
      ),
      (done) => answering(done, event.ticket, { outcome: 'recovered', release }),
    ),
  )
}

function hostsElsewhere(state: EnvironmentState): readonly { host: string; runs: string | null }[] {
  return Object.values(state.record.members).flatMap((member) => {
    const view = state.sessions[member.host]
    if (view === undefined || sameRelease(view.report.current, state.record.committed)) return []
    return [{ host: member.name, runs: view.report.current?.version ?? null }]
  })
}
