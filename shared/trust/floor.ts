// What a host has committed of one app and environment, and which signed releases that still lets
// in: the last fence against a controller that leads back to what was mended long ago. It holds no
// signatures: it is asked about statements that are trusted (trust-policy).

import { limits } from '../limits.ts'
import type { Statement } from './statement.ts'

/** A release that this host ran and that was committed. */
export interface CommittedRelease {
  readonly sequence: number
  readonly version: string
  readonly tree: string
}

/** To be kept durably, and written before what it is about is acted upon. */
export interface Standing {
  /** The highest sequence that was ever committed here; 0 before the first. */
  readonly highest: number
  /** The lowest sequence that may still be staged; 0 while none was signed. */
  readonly floor: number
  /** Rising by sequence. */
  readonly committed: readonly CommittedRelease[]
}

export const firstStanding: Standing = { highest: 0, floor: 0, committed: [] }

export interface Admission {
  readonly statement: Pick<Statement, 'sequence' | 'version' | 'tree' | 'expires' | 'expiresAt'>
  readonly standing: Standing
  /**
   * `return`: back to what this host ran before, which may have expired since. `admitted`: it was
   * let in once, or there is nothing here that could be older, so that its expiry says nothing.
   */
  readonly purpose: 'new' | 'return' | 'admitted'
  /** Epoch milliseconds. */
  readonly at: number
}

export type Bar = 'expired' | 'below-floor' | 'below-highest' | 'sequence-reused' | 'never-run'

export type AdmissionVerdict =
  | { readonly outcome: 'admitted' }
  | { readonly outcome: 'refused'; readonly reason: Bar; readonly message: string }

/**
 * Whether a trusted statement's release may be staged. Below what was committed only that is let in
 * which this host ran committed, and nothing below the floor. Hearing of a statement raises nothing.
 */
export function admit({ statement, standing, purpose, at }: Admission): AdmissionVerdict {
  const { sequence, expires, expiresAt } = statement
  const { floor, highest } = standing
  if (sequence < floor) {
    return refused('below-floor', `sequence ${sequence} is below the floor ${floor}`)
  }
  const known = standing.committed.find((release) => release.sequence === sequence)
  const ran = known?.tree === statement.tree && known.version === statement.version
  if (known !== undefined && !ran) {
    const message = `sequence ${sequence} was signed for ${known.version} too, which ran here`
    return refused('sequence-reused', message)
  }
  if (!ran && purpose === 'return') {
    return refused('never-run', `sequence ${sequence} was never committed on this host`)
  }
  if (!ran && sequence <= highest) {
    const message = `sequence ${sequence} is not above ${highest}, and was never committed here`
    return refused('below-highest', message)
  }
  if (purpose === 'new' && expiresAt !== null && at >= expiresAt) {
    return refused('expired', `the statement of ${statement.version} expired at ${expires}`)
  }
  return { outcome: 'admitted' }
}

/** The standing after the statement's release was committed; nothing in it ever goes down. */
export function committed(
  standing: Standing,
  statement: Pick<Statement, 'sequence' | 'version' | 'tree' | 'floor'>,
): Standing {
  const { sequence, version, tree } = statement
  const floor = Math.max(standing.floor, statement.floor ?? 0)
  const others = standing.committed.filter((release) => release.sequence !== sequence)
  const releases = [...others, { sequence, version, tree }]
    .filter((release) => release.sequence >= floor)
    .sort((a, b) => a.sequence - b.sequence)
    .slice(-limits.standingReleasesMax)
  return { highest: Math.max(standing.highest, sequence), floor, committed: releases }
}

function refused(reason: Bar, message: string): AdmissionVerdict {
  return { outcome: 'refused', reason, message }
}
