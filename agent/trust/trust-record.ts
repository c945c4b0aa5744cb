// What a host knows of one app's signed releases, for as long as it lasts: which trees it verified
// and by which statement, what ran when signatures were first asked for, and what was committed.
// Pure; the keys may have changed since, and the statements may have expired.

import { isDeepStrictEqual } from 'node:util'
import { type Release, sameRelease } from '#shared/release.ts'
import { limits } from '#shared/limits.ts'
import {
  admit,
  type AdmissionVerdict,
  committed,
  firstStanding,
  type Standing,
} from '#shared/trust/floor.ts'

/** A release whose statement was verified here, and what of it matters from then on. */
export interface VerifiedRelease extends Release {
  readonly sequence: number
  readonly floor: number | null
  /** Names of the keys that signed, as the trust file called them then. */
  readonly signers: readonly string[]
  /** Epoch milliseconds, for people. */
  readonly verifiedAt: number
}

export interface TrustRecord {
  /** The trust file asked for signatures when it was last looked at. */
  readonly enforced: boolean
  readonly standing: Standing
  /** In the order in which they were verified. */
  readonly verified: readonly VerifiedRelease[]
  /** What `current` led to when signatures began to be asked for: nobody verified it. */
  readonly found: readonly Release[]
}

export const emptyRecord: TrustRecord = {
  enforced: false,
  standing: firstStanding,
  verified: [],
  found: [],
}

export function verifiedRelease(record: TrustRecord, release: Release): VerifiedRelease | null {
  return record.verified.find((known) => sameRelease(known, release)) ?? null
}

export function isFound(record: TrustRecord, release: Release): boolean {
  return record.found.some((known) => sameRelease(known, release))
}

/** It ran here and was committed. */
export function hasRun({ standing }: TrustRecord, { version, tree }: Release): boolean {
  return standing.committed.some((ran) => ran.tree === tree && ran.version === version)
}

/**
 * Whether a release may be made current: nothing that was not verified here, and nothing that what
 * was committed since has left behind. Expiry has no say in it.
 */
export function mayRun(record: TrustRecord, release: Release): AdmissionVerdict | 'unverified' {
  const { standing } = record
  const known = verifiedRelease(record, release)
  if (known !== null) {
    const statement = { ...known, expires: null, expiresAt: null }
    return admit({ statement, standing, purpose: 'admitted', at: 0 })
  }
  if (!isFound(record, release)) return 'unverified'
  if (standing.floor === 0) return { outcome: 'admitted' }
  const message = `it was never signed, and the floor is ${standing.floor}`
  return { outcome: 'refused', reason: 'below-floor', message }
}

/** What is forgotten has to be verified again; what was committed is remembered apart. */
export function withVerified(record: TrustRecord, release: VerifiedRelease): TrustRecord {
  const others = record.verified.filter((known) => !sameRelease(known, release))
  const spare = others.length + 1 - limits.verifiedReleasesMax
  const forgotten = new Set(others.filter((known) => !hasRun(record, known)).slice(0, spare))
  const kept = spare > 0 ? others.filter((known) => !forgotten.has(known)) : others
  return { ...record, verified: [...kept, release] }
}

/** The floor rises here and nowhere else. The same value where there is nothing new in it. */
export function withCommitted(record: TrustRecord, release: Release): TrustRecord {
  const known = verifiedRelease(record, release)
  if (known === null) return record
  const { floor, ...facts } = known
  const standing = committed(record.standing, floor === null ? facts : { ...facts, floor })
  return isDeepStrictEqual(standing, record.standing) ? record : { ...record, standing }
}

/**
 * From now on signatures are asked for, or are no longer: what runs at the beginning may go on.
 * @param running what `current` leads to; null for nothing that was staged whole
 */
export function withEnforced(
  record: TrustRecord,
  enforced: boolean,
  running: Release | null,
): TrustRecord {
  if (record.enforced === enforced) return record
  if (!enforced) return { ...record, enforced }
  if (running === null || verifiedRelease(record, running) !== null) {
    return { ...record, enforced, found: [] }
  }
  const { version, tree } = running
  return { ...record, enforced, found: [{ version, tree }] }
}
