// Asserted after every transition of the controller's machine, in the daemon as in the simulator: a
// step that breaks one is never saved. What is checked is written down in ARCHITECTURE.md.

import type { Step } from './events.ts'
import { type Cause, changeOf, checkAll } from './change.ts'
import { decisionInvariants } from './decision-invariants.ts'
import { onceInvariants } from './once-invariants.ts'
import { rolloutInvariants } from './rollout-invariants.ts'
import type { EnvironmentState } from './state.ts'

/**
 * A step that changes no record, decides nothing and asks for nothing breaks nothing: most reports
 * are of that kind, so that a large fleet costs nothing here.
 * @throws AssertionError that begins with the name of the invariant
 */
export function checkEnvironmentInvariants(
  before: EnvironmentState,
  cause: Cause,
  step: Step,
): void {
  const isQuiet = step.facts.length === 0 && step.effects.length === 0
  if (isQuiet && step.state.record === before.record && !('ticket' in cause)) return
  const change = changeOf(before, cause, step)
  checkAll(decisionInvariants, change)
  checkAll(onceInvariants, change)
  checkAll(rolloutInvariants, change)
}
