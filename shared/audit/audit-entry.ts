// One entry of the audit trail, and the chain that it is a link of: what is hashed, byte by byte.
// Owns no storage and no output.

import { canonicalJson, type Json } from '../canonical-json.ts'
import { sha256Hex } from '../ids.ts'
import { escapedJson } from '../unsafe-text.ts'

export type AuditOutcome = 'done' | 'denied'

/** What happened, before it is a link of the chain. */
export interface AuditContent {
  /** Epoch milliseconds, by the controller's clock. */
  readonly at: number
  /** A token's id, a host's id, `controller` for what it decided itself, `nobody` without any. */
  readonly who: string
  /** The deed: `deploy`, `freeze`, `decide-activate`, …; docs/audit.md lists them. */
  readonly what: string
  /** Null where it concerns no app or environment, or several. */
  readonly app: string | null
  readonly environment: string | null
  /** The reason that was given for it, or that the controller had. */
  readonly why: string | null
  readonly outcome: AuditOutcome
  readonly details: { readonly [name: string]: Json }
}

export interface AuditEntry extends AuditContent {
  /** From 1, without a gap. */
  readonly sequence: number
  /** SHA-256 of the hash of the entry before it and of everything above as text. */
  readonly hash: string
}

/** The newest entry by number and hash: it stands for the trail up to there. */
export interface AuditHead {
  readonly sequence: number
  readonly hash: string
}

/** What the first entry follows. */
export const emptyTrail: AuditHead = { sequence: 0, hash: '0'.repeat(64) }

/** The entry that follows `head`: one number more, and a hash over that of its predecessor. */
export function linked(head: AuditHead, content: AuditContent): AuditEntry {
  const sequence = head.sequence + 1
  return { sequence, ...content, hash: auditHash(head.hash, { sequence, ...content }) }
}

/**
 * SHA-256 of the predecessor's hash, as 64 hexadecimal digits, directly followed by the text of the
 * entry without its own: `printf %s%s "$previous" "$entry" | sha256sum` says the same.
 */
export function auditHash(previous: string, entry: Omit<AuditEntry, 'hash'>): string {
  return sha256Hex(previous + textOf(hashedOf(entry)))
}

/** The entry with its hash as one line of an export. */
export function auditLine(entry: AuditEntry): string {
  return textOf({ ...hashedOf(entry), hash: entry.hash })
}

/** Canonical, and safe on a terminal: an export is the bytes that were hashed. */
function textOf(value: { readonly [name: string]: Json }): string {
  return escapedJson(canonicalJson(value))
}

/** Named one by one: what else an answer may hold is not part of the entry. */
function hashedOf(entry: Omit<AuditEntry, 'hash'>): { [name: string]: Json } {
  const { sequence, at, who, what, app, environment, why, outcome, details } = entry
  return { sequence, at, who, what, app, environment, why, outcome, details }
}
