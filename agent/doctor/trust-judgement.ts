// Judges whether a host lets in only releases that are signed for an app's environment. Pure; the
// trust file is read where the agent reads it.

import type { TrustFileState } from '../trust/trust-file.ts'
import { fail, type Judgement, ok, warn } from '#shared/finding.ts'
import { ruleFor } from '#shared/trust/trust-policy.ts'

/** @param path of the trust file */
export function judgeTrust(state: TrustFileState, path: string, environment: string): Judgement {
  if (state.kind === 'missing') {
    const remedy = `Write ${path}, so that the controller alone can run nothing: docs/trust.md.`
    return warn(`unsigned releases are let in: ${path} is not there`, remedy)
  }
  if (state.kind === 'broken') {
    return fail(`nothing new is let in: ${state.reason}`, 'Correct the trust file: docs/trust.md.')
  }
  const rule = ruleFor(state.policy, environment)
  if (rule === null) {
    const remedy = `Add "${environment}" to its environments, or "*".`
    return fail(`nothing new is let in: ${path} has no rule for ${environment}`, remedy)
  }
  if (rule.policy !== 'require') {
    const remedy = 'Write "require" when every release is signed: docs/trust.md.'
    return warn(`unsigned releases are let in: its policy is ${rule.policy}`, remedy)
  }
  const { threshold, keys } = rule
  const found = `${threshold} of ${keys.map(({ name }) => name).join(', ')} have to sign`
  if (state.caution === null) return ok(found)
  return warn(`${found}; ${state.caution}`, `Give ${path} to root: \`chown root:root ${path}\`.`)
}
