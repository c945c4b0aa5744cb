// Lists that grow for ever: the newest part unless all is asked for, and never without saying so.

import { limits } from '#shared/limits.ts'
import { countText } from '../output/quantities.ts'
import { table } from '../output/table.ts'
import type { Terminal } from '../output/terminal.ts'
import { dim, type Text } from '../output/text.ts'

export interface List<T> {
  readonly items: readonly T[]
  readonly next: string | null
}

export interface ListWords<T> {
  readonly all?: true
  /** One of the items: `release`. */
  readonly noun: string
  readonly headings: readonly string[]
  readonly row: (item: T) => readonly Text[]
}

/** The first page as the controller gives it, or all pages as one. */
export async function readList<T>(
  read: (after?: string) => Promise<List<T>>,
  all: boolean,
): Promise<List<T>> {
  const first = await read()
  const items = [...first.items]
  let { next } = first
  while (all && next !== null) {
    const page = await read(next)
    items.push(...page.items)
    next = page.next === next ? null : page.next
  }
  return { items, next }
}

export function tellList<T>(terminal: Terminal, list: List<T>, words: ListWords<T>): void {
  const { items, next } = list
  const shown = words.all === true ? items : items.slice(0, limits.rowsShown)
  if (shown.length === 0) terminal.note(`there is no ${words.noun} yet`)
  terminal.lines(table(words.headings, shown.map(words.row)))
  if (shown.length === items.length && next === null) return
  const known = next === null ? `${items.length - shown.length} ` : ''
  terminal.note(dim(`the newest ${countText(shown.length, words.noun)}; ${known}more with --all`))
}
