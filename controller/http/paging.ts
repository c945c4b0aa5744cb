// Lists in pages: `?after=CURSOR&limit=N`, answered as `{ items, next }`.

import { limits } from '#shared/limits.ts'

export interface Page {
  /** The number after which to go on; null at the start. */
  readonly after: number | null
  readonly limit: number
}

export function pageOf(query: { after?: string; limit?: string }): Page {
  return {
    after: query.after === undefined ? null : Number(query.after),
    limit: Math.min(Number(query.limit ?? 100), limits.pageItemsMax),
  }
}

/** `next` is null when the page was not full: there is nothing behind it. */
export function listed<T, V>(
  page: Page,
  items: readonly T[],
  view: (item: T) => V,
  cursor: (item: T) => number,
): { items: V[]; next: string | null } {
  const last = items.at(-1)
  const isFull = items.length === page.limit && last !== undefined
  return { items: items.map(view), next: isFull ? String(cursor(last)) : null }
}
