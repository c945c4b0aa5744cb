// What is recorded of a deed in the audit trail, and by whom: what every store takes beside the
// change itself, so that both are written in one transaction.

import type { AuditContent } from '#shared/audit/audit-entry.ts'

/** What is left out is null or empty. */
export interface AuditRecord
  extends Pick<AuditContent, 'at' | 'who' | 'what' | 'outcome'>,
    Partial<Pick<AuditContent, 'app' | 'environment' | 'why' | 'details'>> {}

/** Whose deed it is, and the reason that was given for it. */
export interface Author {
  /** A token's id, a host's id or `controller`. */
  readonly by: string
  readonly why: string | null
}

/** The same at an instant: epoch milliseconds. */
export interface DatedAuthor extends Author {
  readonly at: number
}

/** For what no request asked for. */
export const controllerItself = 'controller'
