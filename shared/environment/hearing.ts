// What a report changes before any phase looks at it: the session's view, and the fence check.

import { compareFence } from '../fence.ts'
import type { EventOf, Step } from './events.ts'
import { hearOnce } from './once.ts'
import type { EnvironmentState, FencedBy } from './state.ts'
import { unchanged, withEffects, withFacts, withRecord } from './step.ts'

type Heard =
  | { outcome: 'dropped'; step: Step }
  | { outcome: 'fenced'; step: Step }
  /** With what it says of once runs, its own and those of before. */
  | { outcome: 'heard'; step: Step }

/** Old sessions, old reports and strangers are dropped; a fence that is not ours fences. */
export function hear(state: EnvironmentState, event: EventOf<'host-reported'>): Heard {
  const known = state.sessions[event.host]
  if (state.record.members[event.host] === undefined) {
    return { outcome: 'dropped', step: unchanged(state) }
  }
  if (known !== undefined && isOld(known, event)) {
    return { outcome: 'dropped', step: unchanged(state) }
  }
  const view = { session: event.session, open: true, report: event.report, reportedAt: event.at }
  const heard = { ...state, sessions: { ...state.sessions, [event.host]: view } }
  const fencedBy = foreignFence(state, event)
  if (fencedBy === null) return { outcome: 'heard', step: withOnceHeard(heard, event) }
  const record = withRecord(heard, {
    fencedBy: { ...heard.record.fencedBy, [event.host]: fencedBy },
  })
  const { fence, why } = fencedBy
  if (state.record.fencedBy[event.host] !== undefined) {
    return { outcome: 'fenced', step: unchanged(record) }
  }
  return {
    outcome: 'fenced',
    step: withFacts(record, { type: 'fenced', host: event.host, fence, why }),
  }
}

function withOnceHeard(state: EnvironmentState, event: EventOf<'host-reported'>): Step {
  const before = state.record.once
  const once = hearOnce(before, event.host, event, event.at)
  if (once === before) return unchanged(state)
  const ended = Object.values(once).filter(
    (run) => run.state !== before[run.tree]?.state && run.state !== 'told',
  )
  const facts = ended.map((run) => ({ type: 'once-ended' as const, run }))
  return withFacts(withRecord(state, { once }), ...facts)
}

/** Level-triggered: a host that does not bear the newest decision is told it again. */
export function tellIfBehind(state: EnvironmentState, host: string): Step {
  const fence = state.sessions[host]?.report.fence ?? null
  const newest = state.record.decision?.fence ?? null
  return compareFence(fence, newest) === 'lower'
    ? withEffects(state, { type: 'tell', host })
    : unchanged(state)
}

function isOld(
  known: EnvironmentState['sessions'][string],
  event: EventOf<'host-reported'>,
): boolean {
  if (event.session !== known.session) return event.session < known.session
  return !known.open || event.report.seq <= known.report.seq
}

function foreignFence(state: EnvironmentState, event: EventOf<'host-reported'>): FencedBy | null {
  const { fence, conflict } = event.report
  const { term } = state.record
  if (conflict !== null && conflict.term >= term) return { fence: conflict, why: 'fence-conflict' }
  // A recovery began this term above all that was heard: what is left of a lower one is superseded.
  if (fence === null || fence.term < term) return null
  const order = compareFence(fence, state.record.decision?.fence ?? null)
  if (order === 'equal') return null
  if (order === 'higher') return { fence, why: 'higher-fence' }
  return event.recorded && order === 'lower' ? null : { fence, why: 'unknown-hash' }
}
