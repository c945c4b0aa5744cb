// `lockstep releases prune`, `remove` and `keep`: which releases stay on the controller.

import type { Command } from 'commander'
import type { PruneAnswer } from '#shared/api/release-schemas.ts'
import { parseCount } from '../arguments.ts'
import { bytesText, countText, instantText, namesText } from '../output/quantities.ts'
import { table } from '../output/table.ts'
import { bold, type Text } from '../output/text.ts'
import { limits } from '#shared/limits.ts'
import type { RunJob, Session } from '../session.ts'
import { appArgument, versionArgument, withJson, withReason } from './place.ts'

interface PruneOptions {
  readonly keep?: number
  readonly dryRun?: true
  readonly reason?: string
  readonly json?: true
}

interface JsonOption {
  readonly reason?: string
  readonly json?: true
}

/**
 * `--json` is an option of `releases` too, which takes it wherever it stands: so all options are read.
 * @param releases the command that these are below
 */
export function addPrune(releases: Command, run: RunJob): void {
  const prune = releases
    .command('prune')
    .description('remove old releases that nobody needs, and their content')
    .addArgument(appArgument())
    .option('--keep <n>', 'how many of the newest stay; without it what is set', parseCount)
    .option('--dry-run', 'only say what would be removed')
  withJson(withReason(prune), 'what was removed').action((app: string) =>
    run((session) => pruneReleases(session, app, prune.optsWithGlobals<PruneOptions>())),
  )
  const remove = releases
    .command('remove')
    .description('remove one release that nobody needs, and its content')
    .addArgument(appArgument())
    .addArgument(versionArgument())
  withJson(withReason(remove), 'what was removed').action((app: string, version: string) =>
    run((session) => removeRelease(session, app, version, remove.optsWithGlobals<JsonOption>())),
  )
  const keep = releases
    .command('keep')
    .description('show or set how many releases of an app pruning leaves')
    .addArgument(appArgument())
    .argument('[n]', 'how many', parseCount)
  withJson(withReason(keep), 'the setting').action((app: string, count: number | undefined) =>
    run((session) => keepReleases(session, app, count, keep.optsWithGlobals<JsonOption>())),
  )
}

async function removeRelease(
  session: Session,
  app: string,
  version: string,
  { reason, json }: JsonOption,
): Promise<undefined> {
  const { terminal } = session
  const answer = await session.client(reason).removeRelease(app, version)
  if (json) terminal.json(answer)
  else terminal.line([bold('removed'), ` ${app} ${version}; ${freed(answer.swept, 'freed')}`])
}

async function keepReleases(
  session: Session,
  app: string,
  count: number | undefined,
  { reason, json }: JsonOption,
): Promise<undefined> {
  const { terminal } = session
  const client = session.client(reason)
  const view = await (count === undefined ? client.kept(app) : client.keep(app, count))
  if (json) terminal.json(view)
  else terminal.line(`pruning leaves ${countText(view.keep, 'release')} of ${app}`)
}

async function pruneReleases(
  session: Session,
  app: string,
  { keep, dryRun, reason, json }: PruneOptions,
): Promise<undefined> {
  const { terminal } = session
  const answer = await session.client(reason).prune(app, {
    ...(keep === undefined ? {} : { keep }),
    ...(dryRun === undefined ? {} : { dryRun }),
  })
  if (json) terminal.json(answer)
  else terminal.lines(answerLines(answer))
}

function answerLines({ app, dryRun, keep, removed, needed, swept }: PruneAnswer): Text[] {
  const did = dryRun ? 'would remove' : 'removed'
  const rows = removed.map(({ version, publishedAt, treeBytes }) => [
    version,
    instantText(publishedAt),
    bytesText(treeBytes),
  ])
  const shown = rows.slice(0, limits.rowsShown)
  const more = rows.length - shown.length
  return [
    [bold(did), ` ${countText(removed.length, 'release')} of ${app}; the newest ${keep} stay`],
    ...table(['VERSION', 'PUBLISHED', 'SIZE'], shown),
    ...(more === 0 ? [] : [`and ${more} more`]),
    ...needed.map(({ version, by }) => {
      const needs = by.map(({ environment, need }) => `${environment} (${need})`)
      return `${version} stays, needed by ${namesText(needs, limits.namesShown)}`
    }),
    freed(swept, dryRun ? 'would free' : 'freed'),
  ]
}

/** Files that stay may be parts of what goes: the sizes of the releases add up to more. */
function freed({ files, bytes }: PruneAnswer['swept'], did: string): string {
  return `${did} ${bytesText(bytes)} in ${countText(files, 'file')}`
}
