// `lockstep status`: what every environment is committed to and wants, and how many of its hosts serve it.

import type { Command } from 'commander'
import type { EnvironmentView } from '#shared/api/schemas.ts'
import type { Place } from '../client/api-path.ts'
import type { ControllerClient } from '../client/controller-client.ts'
import { failureLines } from '../follow/host-words.ts'
import { limits } from '#shared/limits.ts'
import { ageText, countText, instantText, namesText } from '../output/quantities.ts'
import { facts, table } from '../output/table.ts'
import { bad, bold, good, type Text, warning } from '../output/text.ts'
import { whyText } from '../follow/reasons.ts'
import type { RunJob, Session } from '../session.ts'
import { phaseCell } from './history.ts'
import { hostTable } from './hosts.ts'
import { checkFilter, optionalAppArgument, optionalEnvironmentOption, withJson } from './place.ts'
import { at } from './rollout-request.ts'

interface StatusOptions {
  readonly env?: string
  readonly json?: true
}

export function addStatus(program: Command, run: RunJob): void {
  const command = program
    .command('status')
    .description('show what every environment, or one of them, runs')
    .addArgument(optionalAppArgument())
    .addOption(optionalEnvironmentOption())
  withJson(command, 'the environments').action((app: string | undefined, options: StatusOptions) =>
    run((session) => showStatus(session, app, options)),
  )
}

async function showStatus(
  session: Session,
  app: string | undefined,
  { env, json }: StatusOptions,
): Promise<undefined> {
  const { terminal } = session
  checkFilter(app, env)
  const client = session.client()
  if (app !== undefined && env !== undefined) {
    const view = await client.environment({ app, environment: env })
    if (json) terminal.json(view)
    else terminal.lines(environmentLines(view, session.clock.now()))
    return
  }
  const views: EnvironmentView[] = []
  for (const place of await placesOf(client, app)) views.push(await client.environment(place))
  if (json) {
    terminal.json({ items: views, next: null })
    return
  }
  if (views.length === 0) terminal.note('there is no environment yet')
  else terminal.lines(table(headings, views.map(row)))
  const { warnings } = await client.controller()
  for (const text of warnings) terminal.note([bad('warning'), `: ${text}`])
}

/** Every environment of every app, or of one. */
export async function placesOf(
  client: ControllerClient,
  app: string | undefined,
): Promise<Place[]> {
  const apps = await client.apps()
  return apps
    .filter((view) => app === undefined || view.app === app)
    .flatMap((view) => view.environments.map((environment) => ({ app: view.app, environment })))
}

const headings = ['APP', 'ENVIRONMENT', 'COMMITTED', 'DESIRED', 'ROLLOUT', 'HOSTS', 'SERVING']

function row(view: EnvironmentView): Text[] {
  const { app, environment, committed, desired, rollout, hosts, fencedBy } = view
  const state = rollout === null ? '-' : phaseCell(rollout)
  return [
    app,
    environment,
    committed?.version ?? '-',
    desired?.version ?? '-',
    fencedBy.length > 0
      ? bad('fenced')
      : view.freeze === null
        ? state
        : [warning('frozen'), ', ', state],
    `${hosts.filter(({ connected }) => connected).length}/${hosts.length} connected`,
    servingCount(view),
  ]
}

function environmentLines(view: EnvironmentView, now: number): Text[] {
  const { app, environment, committed, desired, rollout, hosts } = view
  const fence =
    view.fence === null ? undefined : `term ${view.fence.term}, epoch ${view.fence.epoch}`
  return [
    bold(`${app} in ${environment}`),
    ...fencedLines(view),
    ...frozenLines(view),
    ...facts([
      ['committed', committed === null ? 'nothing yet' : releaseText(committed)],
      ['desired', desired === null ? 'nothing yet' : releaseText(desired)],
      ['rollout', rollout === null ? 'none yet' : rolloutText(rollout, now)],
      ['fence', fence],
      ['requires', requiresText(view)],
      ['approvals', view.approvals > 0 ? 'one, of another person' : undefined],
      ['failed', failedText(view)],
      ['serving', servingCount(view)],
    ]),
    '',
    ...(hosts.length === 0 ? ['no hosts'] : hostTable(hosts, now)),
    ...failureLines(hosts),
  ]
}

function fencedLines({ app, environment, fencedBy }: EnvironmentView): Text[] {
  if (fencedBy.length === 0) return []
  return [
    [
      bad('  fenced'),
      `: this controller does not know what these hosts were told, and decides nothing`,
    ],
    ...fencedBy.map(
      ({ name, term, epoch, why }) => `    ${name} holds term ${term}, epoch ${epoch}: ${why}`,
    ),
    '  what to do: see that no other controller runs, then ' +
      `\`lockstep controller recover ${at({ app, environment })}\``,
  ]
}

function frozenLines({ app, environment, freeze }: EnvironmentView): Text[] {
  if (freeze === null) return []
  const since = instantText(freeze.at)
  return [
    [warning('  frozen'), ` by ${freeze.owner} since ${since}: ${freeze.reason}`],
    `  end it: lockstep unfreeze ${at({ app, environment })}`,
  ]
}

function requiresText({ requires }: EnvironmentView): string | undefined {
  return requires === null ? undefined : `that a release was committed in ${requires} first`
}

/** What `lockstep rollback` never chooses. */
function failedText({ failed }: EnvironmentView): Text | undefined {
  const versions = failed.map(({ release }) => release.version)
  return versions.length === 0 ? undefined : bad(namesText(versions, limits.namesShown))
}

function releaseText({ version, tree }: { version: string; tree: string }): string {
  return `${version} (tree ${tree.slice(0, 12)})`
}

function rolloutText(rollout: NonNullable<EnvironmentView['rollout']>, now: number): Text {
  const { endedAt, startedAt, target, id } = rollout
  const why = rollout.phase === 'committed' ? undefined : whyText(rollout)
  return [
    phaseCell(rollout),
    `: to ${target.version}, `,
    endedAt === null
      ? `began ${ageText(now - startedAt)} ago`
      : `ended ${ageText(now - endedAt)} ago`,
    why === undefined ? '' : `, ${why}`,
    rollout.unknown.length === 0 ? '' : `, unknown: ${namesText(rollout.unknown, 6)}`,
    `, ${id}`,
  ]
}

function servingCount({ app, environment, hosts }: EnvironmentView): Text {
  const serving = hosts.filter(({ apps }) =>
    apps.some((view) => view.app === app && view.environment === environment && view.serving),
  )
  const text = `${serving.length} of ${countText(hosts.length, 'host')}`
  return serving.length === hosts.length ? good(text) : warning(text)
}
