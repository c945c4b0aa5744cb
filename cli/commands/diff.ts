// `lockstep diff`: what is different between two releases, path by path, and what a host that has the
// first would still fetch.

import type { Command } from 'commander'
import type { DifferenceView, DiffView } from '#shared/api/release-schemas.ts'
import { parseVersion } from '#shared/ids.ts'
import { limits } from '#shared/limits.ts'
import type { ControllerClient } from '../client/controller-client.ts'
import { bytesText, countText } from '../output/quantities.ts'
import { facts, table } from '../output/table.ts'
import { bad, dim, good, type Text, warning } from '../output/text.ts'
import type { RunJob, Session } from '../session.ts'
import { appArgument, withJson } from './place.ts'

interface DiffOptions {
  readonly all?: true
  readonly json?: true
}

interface Versions {
  readonly from: string
  readonly to: string
}

export function addDiff(program: Command, run: RunJob): void {
  const command = program
    .command('diff')
    .description('show what is different between two releases')
    .addArgument(appArgument())
    .argument('<from>', 'the version to compare with', parseVersion)
    .argument('<to>', 'the version that is compared', parseVersion)
    .option('--all', 'every difference, not only the first')
  withJson(command, 'the differences').action(
    (app: string, from: string, to: string, options: DiffOptions) =>
      run((session) => diff(session, app, { from, to }, options)),
  )
}

async function diff(
  session: Session,
  app: string,
  versions: Versions,
  { all, json }: DiffOptions,
): Promise<undefined> {
  const { terminal } = session
  const client = session.client()
  const page = all === true || json === true ? {} : { limit: limits.rowsShown }
  const first = await client.diff(app, versions, page)
  const view = all === true ? await whole(client, app, versions, first) : first
  if (json) {
    terminal.json(view)
    return
  }
  terminal.lines(table(['', 'PATH', 'SIZE', 'WHAT'], view.items.map(row)))
  const { added, removed, changed } = view.totals
  const count = added.entries + removed.entries + changed.entries
  if (view.next !== null) {
    const shown = countText(view.items.length, 'difference')
    terminal.note(dim(`the first ${shown}; ${count - view.items.length} more with --all`))
  }
  if (count === 0) terminal.line(`${app} ${versions.from} and ${versions.to} are the same`)
  else terminal.lines(totalsOf(view))
}

/** All pages as one. */
async function whole(
  client: ControllerClient,
  app: string,
  versions: Versions,
  first: DiffView,
): Promise<DiffView> {
  const items = [...first.items]
  let { next } = first
  while (next !== null) {
    const page = await client.diff(app, versions, { after: next })
    items.push(...page.items)
    next = page.next === next ? null : page.next
  }
  return { ...first, items, next }
}

function row({ change, path, what, from, to }: DifferenceView): Text[] {
  switch (change) {
    case 'added':
      return [good('+'), path, sizeOf(to), kindOf(to)]
    case 'removed':
      return [bad('-'), path, sizeOf(from), kindOf(from)]
    case 'changed':
      return [warning('~'), path, changeOf(sizeOf(from), sizeOf(to)), wordsOf(what, from, to)]
  }
}

type Entry = DifferenceView['from']

function wordsOf(what: DifferenceView['what'], from: Entry, to: Entry): string {
  const words = what.map((one) => {
    if (one === 'mode') return `mode ${changeOf(modeOf(from), modeOf(to))}`
    if (one === 'target') return `to ${changeOf(from?.target ?? '', to?.target ?? '')}`
    return one === 'type' ? changeOf(from?.type ?? '', to?.type ?? '') : one
  })
  return words.join(', ')
}

function changeOf(before: string, after: string): string {
  if (before === after || before === '') return after
  return `${before} → ${after}`
}

function sizeOf(entry: Entry): string {
  return entry?.type === 'file' ? bytesText(entry.sizeBytes ?? 0) : ''
}

/** Nothing of a plain file. */
function kindOf(entry: Entry): string {
  return entry?.type === 'link'
    ? `link to ${entry.target ?? ''}`
    : (entry?.type ?? '').replace('file', '')
}

function modeOf(entry: Entry): string {
  return (entry?.mode ?? 0).toString(8).padStart(4, '0')
}

function totalsOf({ totals, delta }: DiffView): Text[] {
  const tally = ({ entries, bytes }: DiffView['totals']['same']): string | undefined =>
    entries === 0 ? undefined : `${entriesText(entries)}, ${bytesText(bytes)}`
  return facts([
    ['added', tally(totals.added)],
    ['removed', tally(totals.removed)],
    ['changed', tally(totals.changed)],
    ['the same', tally(totals.same)],
    ['to fetch', `${countText(delta.files, 'file')}, ${bytesText(delta.bytes)} before compression`],
  ])
}

function entriesText(count: number): string {
  return count === 1 ? '1 entry' : `${count} entries`
}
