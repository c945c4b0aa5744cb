// `all`, `3` or `60%` as the machine takes it.

import type { RequestedRequirement } from '#shared/environment/events.ts'

/** @param text as the schema has accepted it */
export function requirementOf(text: string): RequestedRequirement {
  if (text === 'all') return { kind: 'all', value: 0 }
  if (text.endsWith('%')) return { kind: 'percent', value: Number(text.slice(0, -1)) }
  return { kind: 'count', value: Number(text) }
}
