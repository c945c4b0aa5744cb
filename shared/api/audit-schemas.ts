// The audit trail over HTTP: its entries, and the newest of them as what stands for the trail.

import { type Static, Type } from 'typebox'
import { Digest, nullable } from './schemas.ts'

export const AuditEntryView = Type.Object({
  sequence: Type.Integer(),
  at: Type.Number(),
  who: Type.String(),
  what: Type.String(),
  app: nullable(Type.String()),
  environment: nullable(Type.String()),
  why: nullable(Type.String()),
  outcome: Type.Enum(['done', 'denied']),
  /** What there is to know besides; JSON values. */
  details: Type.Record(Type.String(), Type.Any()),
  /** SHA-256 over the hash of the entry before it and this one: docs/audit.md. */
  hash: Type.String(),
})
export type AuditEntryView = Static<typeof AuditEntryView>

export const AuditList = Type.Object({
  items: Type.Array(AuditEntryView),
  /** Where to go on, also where fewer items than asked for were found so far. */
  next: nullable(Type.String()),
})
export type AuditList = Static<typeof AuditList>

/** Sequence 0 and a hash of zeroes before the first entry. */
export const AuditHeadView = Type.Object({ sequence: Type.Integer(), hash: Digest })
export type AuditHeadView = Static<typeof AuditHeadView>
