// Reads one line of an exported audit trail, to the letter: what is not exactly as it was written is
// no entry, whatever it may mean to a parser.

import type { Json } from '../canonical-json.ts'
import { parseJson } from '../json-text.ts'
import { type AuditEntry, auditLine } from './audit-entry.ts'

/** Null for a line that no export has. */
export function parseAuditLine(line: string): AuditEntry | null {
  const entry = entryOf(parseJson(line))
  return entry !== null && auditLine(entry) === line ? entry : null
}

function entryOf(value: unknown): AuditEntry | null {
  if (!isObject(value)) return null
  const { sequence, at, who, what, app, environment, why, outcome, details, hash } = value
  const isEntry =
    Number.isSafeInteger(sequence) &&
    typeof at === 'number' &&
    [who, what, hash].every((text) => typeof text === 'string') &&
    [app, environment, why].every((text) => text === null || typeof text === 'string') &&
    (outcome === 'done' || outcome === 'denied') &&
    isObject(details)
  // Its members were just looked at, one by one.
  return isEntry ? (value as unknown as AuditEntry) : null
}

function isObject(value: unknown): value is { readonly [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
