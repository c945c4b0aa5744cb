// `lockstep token`: makes, lists and revokes tokens. A token's text is shown once, alone on standard output.

import type { Command } from 'commander'
import type { TokenBody, TokenView } from '#shared/api/schemas.ts'
import { parseApp, parseEnvironment } from '#shared/ids.ts'
import { misuse, parseCount, parseDuration, parseTokenId } from '../arguments.ts'
import { countText, instantText } from '../output/quantities.ts'
import { table } from '../output/table.ts'
import { bold, type Text } from '../output/text.ts'
import type { RunJob, Session } from '../session.ts'
import { withJson } from './place.ts'

interface CreateOptions {
  readonly join?: true
  readonly role?: 'admin'
  readonly app?: readonly string[]
  readonly env?: readonly string[]
  /** Milliseconds. */
  readonly ttl?: number
  readonly uses?: number
  readonly json?: true
}

export function addToken(program: Command, run: RunJob): void {
  const token = program.command('token').description('make, list and revoke tokens')
  const create = token
    .command('create')
    .description('make a token for agents to join with (--join), or for this command (--role)')
    .option('--join', 'a join token: good for the apps and environments named')
    .option(
      '--app <app>',
      'an app that hosts may join (repeatable, each with its --env)',
      appending(parseApp),
    )
    .option('--env <environment>', 'the environment of that app', appending(parseEnvironment))
    .option('--uses <n>', 'how many hosts may join with it', parseCount)
    .option('--role <role>', 'an API token: admin may do everything', parseRole)
    .option('--ttl <duration>', 'how long it is good, such as 1h or 90d', parseDuration)
  withJson(create, 'token and facts').action((options: CreateOptions) =>
    run((session) => createToken(session, options)),
  )
  const list = token.command('list').description('list the tokens, without their texts')
  withJson(list, 'the list').action(({ json }: { json?: true }) =>
    run((session) => listTokens(session, json === true)),
  )
  token
    .command('revoke')
    .description('make a token worthless at once')
    .argument('<id>', 'as `token list` shows it', parseTokenId)
    .action((id: string) => run((session) => revokeToken(session, id)))
}

async function createToken(session: Session, options: CreateOptions): Promise<undefined> {
  const { terminal } = session
  const body = tokenBody(options)
  const created = await session.client().createToken(body)
  if (options.json) {
    terminal.json(created)
    return
  }
  terminal.secret(created.token)
  const { id, expiresAt } = created.view
  terminal.note(
    `token ${id}, good until ${instantText(expiresAt)}; its text is shown only this once`,
  )
  if (body.kind === 'join') {
    terminal.note('give it to `lockstep agent install --join-token-file FILE` on the new host')
  }
}

/** @throws LockstepError `bad-usage` */
function tokenBody(options: CreateOptions): TokenBody {
  const { join, role, app: apps = [], env: environments = [], ttl, uses } = options
  const lifetime = ttl === undefined ? {} : { ttlMs: ttl }
  if ((join === undefined) === (role === undefined)) {
    throw misuse(
      'give one of --join and --role',
      '--join for a new host, --role admin for people and CI.',
    )
  }
  if (role !== undefined) {
    if (apps.length + environments.length > 0 || uses !== undefined) {
      throw misuse(
        '--app, --env and --uses belong to --join',
        'An API token is good for every app.',
      )
    }
    return { kind: 'api', role, ...lifetime }
  }
  if (apps.length === 0 || apps.length !== environments.length) {
    throw misuse(
      `a join token needs --app and --env in pairs, and there are ${apps.length} and ${environments.length}`,
      'Such as --app shop --env production --app blog --env production.',
    )
  }
  return {
    kind: 'join',
    apps: apps.map((app, index) => ({ app, environment: environments[index] ?? '' })),
    ...lifetime,
    ...(uses === undefined ? {} : { uses }),
  }
}

async function listTokens(session: Session, json: boolean): Promise<undefined> {
  const { terminal } = session
  const tokens = await session.client().tokens()
  if (json) terminal.json({ items: tokens, next: null })
  else terminal.lines(table(['ID', 'FOR', 'GOOD UNTIL', 'USES LEFT', 'LAST USED'], tokens.map(row)))
}

function row({ id, kind, role, apps, expiresAt, usesLeft, lastUsedAt }: TokenView): Text[] {
  const joins = apps.map(({ app, environment }) => `${app} ${environment}`).join(', ')
  return [
    id,
    kind === 'join' ? `join ${joins}` : (role ?? kind),
    instantText(expiresAt),
    usesLeft === null ? '-' : countText(usesLeft, 'use'),
    lastUsedAt === null ? 'never' : instantText(lastUsedAt),
  ]
}

async function revokeToken(session: Session, id: string): Promise<undefined> {
  await session.client().revokeToken(id)
  session.terminal.line([bold('revoked'), ` ${id}`])
}

function parseRole(text: string): 'admin' {
  if (text === 'admin') return text
  throw misuse(`there is no role ${JSON.stringify(text)}`, 'The one role is admin.')
}

function appending(parse: (text: string) => string) {
  return (text: string, before: readonly string[] = []): readonly string[] => [
    ...before,
    parse(text),
  ]
}
