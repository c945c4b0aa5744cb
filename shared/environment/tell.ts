// What one host is told under the newest decision: derived, never stored.

import type { Desired } from '../desired.ts'
import type { EnvironmentRecord } from './state.ts'
import { machinePhaseOf, openRolloutOf } from './state.ts'

/**
 * The host's whole desired state, or null while there is nothing to say: no decision yet, no
 * member, or fenced.
 */
export function desiredOf(record: EnvironmentRecord, host: string): Desired | null {
  const { decision } = record
  if (decision === null || record.members[host] === undefined) return null
  if (machinePhaseOf(record) === 'fenced') return null
  const { fence, kind } = decision
  const drain = host in record.drained
  const common = { fence, kind, drain, once: false, history: record.history }
  const nothing = { release: null, fallback: null, activateAt: null }
  if (drain || host in record.excluded) return { ...common, hold: true, run: nothing, stage: null }
  const { fallback, stage } = decision
  const once = kind === 'prepare' && decision.counted.includes(host)
  const rollout = openRolloutOf(record)
  const counted = rollout?.participants[host]?.counted ?? false
  if (decision.kind === 'activate' && !counted) {
    return { ...common, hold: false, run: { release: fallback, fallback, activateAt: null }, stage }
  }
  const activateAt = decision.kind === 'activate' ? (rollout?.activateAt ?? null) : null
  return {
    ...common,
    once,
    hold: false,
    run: { release: decision.run, fallback, activateAt },
    stage: decision.kind === 'activate' ? null : stage,
  }
}
