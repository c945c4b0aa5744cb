// How the agent asks root for one thing about one unit where polkit cannot grant it: over a socket for
// each verb and unit. Owns their names, which installer and agent must agree on.

import { sha256Hex } from './ids.ts'

export const unitVerbs = ['reload', 'restart', 'start', 'stop', 'kill'] as const
export type UnitVerb = (typeof unitVerbs)[number]

/** Of the sockets; root's. */
export const unitRequestDirectory = '/run/lockstep-units'

/**
 * Of the socket in the directory, and of its units after `lockstep-ask-`. A digest, since the names of
 * units hold what a template's name may not.
 * @param unit a unit, or what the names of instances begin with: `shop-migrate@shop-`
 */
export function unitRequestName(verb: UnitVerb, unit: string): string {
  return `${verb}-${sha256Hex(unit).slice(0, 16)}`
}
