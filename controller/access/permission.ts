// Who may do what where: the exact actions of each role, and whether grants allow one in one place.
// Pure. docs/access.md.

import type { Grant, Role } from '#shared/api/token-schemas.ts'
import type { HostApp } from '../store/host-store.ts'

export type Action = 'read' | 'publish' | 'deploy' | 'admin'
export type Grants = readonly Grant[]

/**
 * Sets, not levels: a deployer cannot publish, and a publisher cannot deploy. Whoever approves does
 * what a deployer does.
 */
const actionsOf: Readonly<Record<Role, readonly Action[]>> = {
  viewer: ['read'],
  publisher: ['read', 'publish'],
  deployer: ['read', 'deploy'],
  admin: ['read', 'publish', 'deploy', 'admin'],
}

/** `*` as an app or environment asks for all of them, and only a grant for all of them allows it. */
export const everywhere = '*'

/**
 * One grant has to allow the action in the place: that one grant allows more and another reaches
 * further is nothing (CVE-2026-33552).
 */
export function may(grants: Grants, action: Action, { app, environment }: HostApp): boolean {
  return grants.some(
    (grant) =>
      actionsOf[grant.role].includes(action) &&
      reaches(grant.app, app) &&
      reaches(grant.environment, environment),
  )
}

/** Reading what is an app's takes any of its environments; everything else takes all of them. */
export function mayInApp(grants: Grants, action: Action, app: string): boolean {
  if (action !== 'read') return may(grants, action, { app, environment: everywhere })
  return grants.some((grant) => actionsOf[grant.role].includes(action) && reaches(grant.app, app))
}

export function maySomewhere(grants: Grants, action: Action): boolean {
  return grants.some((grant) => actionsOf[grant.role].includes(action))
}

/** Whoever gives has to be admin wherever the grant reaches. */
export function mayGive(grants: Grants, given: Grant): boolean {
  return may(grants, 'admin', given)
}

/** Every role reads: where a caller sees anything is where its grants reach. */
export function sees(grants: Grants, place: HostApp): boolean {
  return may(grants, 'read', place)
}

function reaches(granted: string, wanted: string): boolean {
  return granted === everywhere || granted === wanted
}
