// Checks what a rollout said at its end against the disks of its hosts, and that nobody is left on a
// release that nobody would ever correct. ARCHITECTURE.md, "No lies" and "Convergence".

import assert from 'node:assert/strict'
import type { RolloutView } from '#shared/api/schemas.ts'
import { limits } from '#shared/limits.ts'
import type { Fleet } from './fleet.ts'

const exitCodes = {
  'committed': [0],
  'rolled-back': [3, 5],
  'aborted': [4],
  'failed': [1],
} as const

/**
 * @param view of a rollout that has just ended
 * @throws AssertionError when a disk contradicts it
 */
export function checkEnd(fleet: Fleet, view: RolloutView): void {
  const { phase, exitCode, unknown } = view
  assert(phase in exitCodes, `${phase} is no end`)
  const allowed: readonly (number | null)[] = exitCodes[phase as keyof typeof exitCodes]
  assert(allowed.includes(exitCode), `${phase} with exit code ${exitCode}`)
  assert.equal(exitCode === 5, phase === 'rolled-back' && unknown.length > 0)
  const said = phase === 'committed' ? view.target.version : (view.fallback?.version ?? null)
  for (const { name, state, counted } of view.participants) {
    const isAnsweredFor = state === 'participating' && (counted || phase === 'aborted')
    if (!isAnsweredFor || unknown.includes(name)) continue
    assert.equal(fleet.host(name).current(), said, `${name} after ${phase}`)
  }
  for (const { name, activatedAt } of view.participants) {
    if (activatedAt === null || view.endedAt === null) continue
    const slackMs = view.skewErrorMs ?? limits.leaseMs
    const isWithin = view.startedAt - slackMs < activatedAt && activatedAt < view.endedAt + slackMs
    assert(isWithin, `${name} is said to have swapped at ${activatedAt}`)
  }
  const ends = fleet.facts.filter(
    (fact) => fact.type === 'rollout-ended' && fact.rollout === view.id,
  )
  assert(ends.length <= 1, 'a rollout ended twice')
}

/**
 * The end of the rollout, checked; then everybody on what is committed.
 * @returns the end
 */
export async function endedInTruth(fleet: Fleet, rollout: string): Promise<RolloutView> {
  const view = await fleet.ended(rollout)
  checkEnd(fleet, view)
  const { committed } = await fleet.environment()
  const runs = view.phase === 'committed' ? view.target : view.fallback
  assert.equal(committed?.version, runs?.version)
  if (committed !== null && fleet.hosts.every((host) => host.isUp)) {
    await fleet.converged(committed.version)
  }
  return view
}
