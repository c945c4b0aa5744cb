// The audit trail over HTTP: one page of it, or all entries one after the other, a page at a time.

import type { Static } from 'typebox'
import { AuditHeadView, AuditList } from '#shared/api/audit-schemas.ts'
import type { AuditEntry, AuditHead, AuditOutcome } from '#shared/audit/audit-entry.ts'
import { limits } from '#shared/limits.ts'
import { withQuery } from './api-path.ts'
import type { ControllerClient } from './controller-client.ts'

export interface AuditFilter {
  readonly app?: string | undefined
  readonly environment?: string | undefined
  readonly who?: string | undefined
  readonly what?: string | undefined
  readonly outcome?: AuditOutcome | undefined
  /** Epoch milliseconds, in digits. */
  readonly since?: string | undefined
}

export function auditHead(client: ControllerClient): Promise<AuditHead> {
  return client.read('/v1/audit/head', AuditHeadView)
}

/** Newest first. A page may be empty and have others behind it. */
export function auditPage(
  client: ControllerClient,
  filter: AuditFilter,
  after?: string,
): Promise<Static<typeof AuditList>> {
  return client.read(withQuery('/v1/audit', { ...filter, after }), AuditList)
}

/** From the first entry to the last; no more than one page is held. */
export async function* auditEntries(
  client: ControllerClient,
): AsyncGenerator<AuditEntry, void, void> {
  let after = '0'
  for (;;) {
    const query = { order: 'oldest', limit: `${limits.pageItemsMax}`, after }
    const page = await client.read(withQuery('/v1/audit', query), AuditList)
    yield* page.items
    if (page.next === null || page.next === after) return
    after = page.next
  }
}
