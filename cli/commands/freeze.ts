// `lockstep freeze` and `unfreeze`: whether rollouts may be started in an environment, and
// `lockstep environment set`: where a release has to be committed first. What people decide, not what runs.

import { type Command, Option } from 'commander'
import { parseEnvironment } from '#shared/ids.ts'
import { misuse, parseReason } from '../arguments.ts'
import { instantText } from '../output/quantities.ts'
import { bold, good, warning } from '../output/text.ts'
import type { RunJob, Session } from '../session.ts'
import { appArgument, environmentOption, withJson, withReason } from './place.ts'

interface FreezeOptions {
  readonly env: string
  readonly reason: string
  readonly owner?: string
  readonly json?: true
}

interface SettingOptions {
  readonly env: string
  /** An environment, or false for none. */
  readonly requires?: string | false
  /** How many others have to approve. */
  readonly approvals?: number
  readonly reason?: string
  readonly json?: true
}

export function addFreeze(program: Command, run: RunJob): void {
  const freeze = program
    .command('freeze')
    .description('let nobody start a rollout in an environment')
    .addArgument(appArgument())
    .addOption(environmentOption())
    .addOption(reasonOption('why, for everybody to read').makeOptionMandatory())
    .option('--owner <who>', 'whom to ask about it; without it the token’s id', parseReason)
  withJson(freeze, 'the settings').action((app: string, options: FreezeOptions) =>
    run((session) => freezePlace(session, app, options)),
  )
  const unfreeze = program
    .command('unfreeze')
    .description('let rollouts be started again')
    .addArgument(appArgument())
    .addOption(environmentOption())
  withJson(withReason(unfreeze), 'the settings').action((app: string, options: SettingOptions) =>
    run((session) => unfreezePlace(session, app, options)),
  )
}

export function addEnvironment(program: Command, run: RunJob): void {
  const set = program
    .command('environment')
    .description('what people decide about an environment')
    .command('set')
    .description('say where a release has to be committed first, and who has to approve')
    .addArgument(appArgument())
    .addOption(environmentOption())
    .addOption(
      new Option('--requires <environment>', 'the environment').argParser(parseEnvironment),
    )
    .option('--no-requires', 'in none')
    .option('--approvals <n>', 'how many others have to approve a rollout: 0 or 1', parseApprovals)
    .addOption(reasonOption('why, for everybody to read'))
  withJson(set, 'the settings').action((app: string, options: SettingOptions) =>
    run((session) => setPlace(session, app, options)),
  )
}

async function freezePlace(session: Session, app: string, options: FreezeOptions) {
  const { env: environment, reason, owner } = options
  const place = { app, environment }
  const body = { reason, ...(owner === undefined ? {} : { owner }) }
  const settings = await session.client().freeze(place, body)
  if (options.json) session.terminal.json(settings)
  else {
    session.terminal.line([
      warning('frozen'),
      `: nobody starts a rollout of ${app} in ${environment}`,
    ])
    session.terminal.line(
      `  one that is open goes on; end this: lockstep unfreeze ${app} --env ${environment}`,
    )
  }
  return undefined
}

async function unfreezePlace(session: Session, app: string, options: SettingOptions) {
  const { env: environment, reason } = options
  const client = session.client(reason)
  const { freeze } = await client.environment({ app, environment })
  const settings = await client.unfreeze({ app, environment })
  if (options.json) session.terminal.json(settings)
  else if (freeze === null) session.terminal.line(`${app} in ${environment} was not frozen`)
  else {
    const was = `it was frozen by ${freeze.owner} since ${instantText(freeze.at)}: ${freeze.reason}`
    session.terminal.line([good('unfrozen'), `: ${was}`])
  }
  return undefined
}

async function setPlace(session: Session, app: string, options: SettingOptions) {
  const { env: environment, requires, approvals, reason } = options
  if (requires === undefined && approvals === undefined) {
    throw misuse('nothing is set', 'Write --requires ENVIRONMENT, --no-requires or --approvals 1.')
  }
  const body = {
    ...(requires === undefined ? {} : { requires: requires === false ? null : requires }),
    ...(approvals === undefined ? {} : { approvals }),
  }
  const settings = await session
    .client()
    .set({ app, environment }, { ...body, ...(reason === undefined ? {} : { reason }) })
  if (options.json) session.terminal.json(settings)
  else {
    const what =
      settings.requires === null
        ? 'takes any release'
        : `takes only releases that were committed in ${settings.requires}`
    session.terminal.line([bold(`${app} in ${environment}`), ` ${what}`])
    if (settings.approvals > 0)
      session.terminal.line('  what starts a rollout waits for another person')
  }
  return undefined
}

function parseApprovals(text: string): number {
  if (text === '0' || text === '1') return Number(text)
  throw misuse('--approvals is 0 or 1', 'One other person approves, or none has to.')
}

function reasonOption(description: string): Option {
  return new Option('--reason <text>', description).argParser(parseReason)
}
