// `lockstep audit`: who did what, when and why; and whether that record is still the one that was written.

import { type Command, Option } from 'commander'
import type { AuditEntryView } from '#shared/api/audit-schemas.ts'
import { type AuditHead, auditLine, type AuditOutcome } from '#shared/audit/audit-entry.ts'
import { ChainCheck, type ChainFault } from '#shared/audit/chain-check.ts'
import { LockstepError } from '#shared/errors.ts'
import { parseApp } from '#shared/ids.ts'
import { limits } from '#shared/limits.ts'
import { parseCount } from '../arguments.ts'
import {
  parseAnchor,
  parseOutcome,
  readAnchors,
  parseSince,
  parseWord,
} from '../audit-arguments.ts'
import type { ControllerClient } from '../client/controller-client.ts'
import { auditEntriesIn } from '../client/audit-file.ts'
import { auditEntries, type AuditFilter, auditHead, auditPage } from '../client/audit-pages.ts'
import { instantText } from '../output/quantities.ts'
import { table } from '../output/table.ts'
import { bad, dim, good, type Text } from '../output/text.ts'
import type { RunJob, Session } from '../session.ts'
import { checkFilter, optionalEnvironmentOption, withJson } from './place.ts'

interface ListOptions {
  readonly app?: string
  readonly env?: string
  readonly who?: string
  readonly what?: string
  readonly outcome?: AuditOutcome
  readonly since?: (now: number) => number
  readonly limit: number
  readonly all?: true
  readonly json?: true
}

interface VerifyOptions {
  readonly anchor?: readonly AuditHead[]
  readonly anchors?: string
  readonly json?: true
}

export function addAudit(program: Command, run: RunJob): void {
  const audit = program
    .command('audit')
    .description('who did what, when and why, and whether that record is whole')
  const list = audit
    .command('list')
    .description('list decisions and denied attempts, newest first')
    .addOption(new Option('--app <app>', 'only of this app').argParser(parseApp))
    .addOption(optionalEnvironmentOption())
    .option('--who <id>', 'only of this token or host, or controller', parseWord)
    .option('--what <deed>', 'only these deeds, such as deploy', parseWord)
    .option('--outcome <outcome>', 'only done, or only denied', parseOutcome)
    .option('--since <instant>', 'not before it: 2026-11-23T14:00Z, or 7d ago', parseSince)
    .option('--limit <n>', 'how many', parseCount, limits.rowsShown)
    .option('--all', 'all of them')
  withJson(list, 'the list').action((options: ListOptions) =>
    run((session) => listEntries(session, options)),
  )
  const head = audit
    .command('head')
    .description('print the number and hash of the newest entry: note it elsewhere, as an anchor')
  withJson(head, 'the head').action(({ json }: { json?: true }) =>
    run((session) => tellHead(session, json === true)),
  )
  audit
    .command('export')
    .description('write every entry as a line of JSON, oldest first')
    .action(() => run(exportEntries))
  const verify = audit
    .command('verify')
    .description('check that nothing in the trail was changed, left out, put in or moved')
    .argument('[file]', 'an export, or - for standard input; without it the controller’s own')
    .option(
      '--anchor <n:hash>',
      'what `audit head` printed once: the trail must still hold it (repeatable)',
      parseAnchor,
    )
  verify.option('--anchors <file>', 'every line of it: a host’s `audit-anchors`')
  withJson(verify, 'what was found').action((file: string | undefined, options: VerifyOptions) =>
    run((session) => verifyTrail(session, file, options)),
  )
}

async function listEntries(session: Session, options: ListOptions): Promise<undefined> {
  const { terminal } = session
  const { app, env: environment, who, what, outcome, since, all } = options
  checkFilter(app, environment)
  const at = since === undefined ? undefined : `${since(session.clock.now())}`
  const filter = { app, environment, who, what, outcome, since: at }
  const { items, next } = await readEntries(session, filter, all ? Infinity : options.limit)
  if (options.json) {
    terminal.json({ items, next })
    return
  }
  if (items.length === 0) terminal.note('there is no such entry')
  terminal.lines(table(['#', 'AT', 'WHO', 'WHAT', 'WHERE', 'WHY', 'DETAILS'], items.map(row)))
  if (next !== null) {
    terminal.note(dim(`the newest ${entriesText(items.length)}; more with --limit or --all`))
  }
}

/** A page may hold fewer entries than it could: it looks at so many and no more. */
async function readEntries(session: Session, filter: AuditFilter, limit: number) {
  const client = session.client()
  const items: AuditEntryView[] = []
  let next: string | null = null
  do {
    const page = await auditPage(client, filter, next ?? undefined)
    items.push(...page.items)
    if (page.next === next) break
    next = page.next
  } while (next !== null && items.length < limit)
  if (items.length <= limit) return { items, next }
  const shown = items.slice(0, limit)
  return { items: shown, next: `${shown.at(-1)?.sequence}` }
}

function row(entry: AuditEntryView): Text[] {
  const { sequence, at, who, what, app, environment, why, outcome, details } = entry
  const told = Object.entries(details).filter(([, value]) => value !== null)
  return [
    `${sequence}`,
    instantText(at),
    who,
    outcome === 'denied' ? [bad('denied'), ` ${what}`] : what,
    [app ?? '-', environment === null ? '' : ` ${environment}`],
    why ?? '',
    told.map(([name, value]) => `${name}=${wordOf(value)}`).join(' '),
  ]
}

/** Digests are long, and their beginning tells them apart; `--json` has all of it. */
function wordOf(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value)
  return /^[0-9a-f]{64}$/.test(value) ? value.slice(0, 12) : value
}

async function tellHead(session: Session, json: boolean): Promise<undefined> {
  const { sequence, hash } = await auditHead(session.client())
  if (json) session.terminal.json({ sequence, hash })
  else session.terminal.line(`${sequence}:${hash}`)
}

async function exportEntries(session: Session): Promise<undefined> {
  const { terminal } = session
  const client = session.client()
  await requireWholeSight(client)
  for await (const entry of auditEntries(client)) {
    if (terminal.readerGone.aborted) return
    await terminal.jsonText(auditLine(entry))
  }
}

/**
 * What of a trail is kept from somebody is as missing to them as what was taken away.
 * @throws LockstepError `forbidden`
 */
async function requireWholeSight(client: ControllerClient): Promise<void> {
  const { grants } = await client.whoAmI()
  if (grants.some(({ app, environment }) => app === '*' && environment === '*')) return
  throw new LockstepError('forbidden', 'the controller shows this token only a part of the trail', {
    hint: 'Use a token that may read everything: of any role, for every app and environment.',
  })
}

async function verifyTrail(
  session: Session,
  file: string | undefined,
  options: VerifyOptions,
): Promise<undefined> {
  const { anchor = [], json } = options
  const anchors = [
    ...anchor,
    ...(options.anchors === undefined ? [] : readAnchors(options.anchors)),
  ]
  const { terminal } = session
  const client = file === undefined ? session.client() : null
  if (client !== null) await requireWholeSight(client)
  // Whatever is added meanwhile: the trail must come to what it ends with now.
  const end = client === null ? [] : [await auditHead(client)].filter((head) => head.sequence > 0)
  const check = new ChainCheck([...anchors, ...end])
  const entries =
    client === null ? auditEntriesIn(file ?? '-', session.stdin) : auditEntries(client)
  for await (const entry of entries) throwFault(check.add(entry))
  throwFault(check.end())
  const { sequence, hash } = check.head
  if (json) {
    terminal.json({ entries: sequence, head: check.head, anchors: anchors.length })
    return
  }
  terminal.line([good('whole'), `: ${entriesText(sequence)}, the last one ${sequence}:${hash}`])
  if (anchors.length === 0) {
    terminal.note(
      'no anchor was given: whether its end was cut off, or all of it written anew, only one shows',
    )
  }
}

function entriesText(count: number): string {
  return count === 1 ? '1 entry' : `${count} entries`
}

/** @throws LockstepError `audit-broken` */
function throwFault(fault: ChainFault | null): void {
  if (fault === null) return
  const { kind, sequence, message } = fault
  throw new LockstepError('audit-broken', message, {
    hint: 'Everything before it is as it was recorded. docs/audit.md says what that means.',
    details: { kind, sequence },
  })
}
