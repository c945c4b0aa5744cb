// `lockstep token`: makes, lists and revokes tokens. A token's text is shown once, alone on standard output.

import type { Command } from 'commander'
import type { Role, TokenBody, TokenView } from '#shared/api/token-schemas.ts'
import { parseApp, parseEnvironment } from '#shared/ids.ts'
import {
  misuse,
  parseCount,
  parseDuration,
  parseInstant,
  parseReason,
  parseTokenId,
} from '../arguments.ts'
import { countText, instantText } from '../output/quantities.ts'
import { table } from '../output/table.ts'
import { bold, type Text } from '../output/text.ts'
import type { RunJob, Session } from '../session.ts'
import { withJson, withReason } from './place.ts'
import { grantText } from './who-am-i.ts'

interface CreateOptions {
  readonly join?: true
  readonly role?: Role
  readonly app?: readonly string[]
  readonly env?: readonly string[]
  /** Milliseconds. */
  readonly ttl?: number
  /** Epoch milliseconds. */
  readonly expires?: number
  readonly owner?: string
  readonly uses?: number
  readonly reason?: string
  readonly json?: true
}

export function addToken(program: Command, run: RunJob): void {
  const token = program.command('token').description('make, list and revoke tokens')
  const create = token
    .command('create')
    .description('make a token for agents to join with (--join), or for this command (--role)')
    .option('--join', 'a join token: good for the apps and environments named')
    .option('--role <role>', 'an API token: viewer, publisher, deployer or admin', parseRole)
    .option(
      '--app <app>',
      'the app that it is good for (repeatable, each with its --env)',
      appending(orAll(parseApp)),
    )
    .option(
      '--env <environment>',
      'the environment of that app; with --role all of them without it',
      appending(orAll(parseEnvironment)),
    )
    .option('--uses <n>', 'how many hosts may join with it', parseCount)
    .option('--owner <who>', 'who holds the API token, for everybody to read', parseReason)
    .option('--ttl <duration>', 'how long it is good, such as 1h or 90d', parseDuration)
    .option('--expires <day>', 'until when it is good, such as 2027-01-31', parseInstant)
  withJson(withReason(create), 'token and facts').action((options: CreateOptions) =>
    run((session) => createToken(session, options)),
  )
  const list = token.command('list').description('list the tokens, without their texts')
  withJson(list, 'the list').action(({ json }: { json?: true }) =>
    run((session) => listTokens(session, json === true)),
  )
  const revoke = token
    .command('revoke')
    .description('make a token worthless at once')
    .argument('<id>', 'as `token list` shows it', parseTokenId)
  withReason(revoke).action((id: string, { reason }: { reason?: string }) =>
    run((session) => revokeToken(session, id, reason)),
  )
}

async function createToken(session: Session, options: CreateOptions): Promise<undefined> {
  const { terminal } = session
  const body = tokenBody(options, session.clock.now())
  const created = await session.client(options.reason).createToken(body)
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
function tokenBody(options: CreateOptions, now: number): TokenBody {
  const { join, role, owner, uses } = options
  const lifetime = lifetimeOf(options, now)
  if ((join === undefined) === (role === undefined)) {
    throw misuse(
      'give one of --join and --role',
      '--join for a new host, --role viewer, publisher, deployer or admin for people and CI.',
    )
  }
  if (role !== undefined) {
    if (uses !== undefined) {
      throw misuse('--uses belongs to --join', 'An API token is used until it expires.')
    }
    const grants = placesOf(options, role).map((place) => ({ role, ...place }))
    return { kind: 'api', grants, ...lifetime, ...(owner === undefined ? {} : { owner }) }
  }
  if (owner !== undefined) throw misuse('--owner belongs to --role', 'A join token is a host’s.')
  const apps = placesOf(options)
  const star = apps.some(({ app, environment }) => app === '*' || environment === '*')
  if (star) throw misuse('a join token names its apps and environments', 'Without *.')
  return { kind: 'join', apps, ...lifetime, ...(uses === undefined ? {} : { uses }) }
}

/** @throws LockstepError `bad-usage` */
function lifetimeOf({ ttl, expires }: CreateOptions, now: number): { ttlMs?: number } {
  if (ttl !== undefined && expires !== undefined) {
    throw misuse('give one of --ttl and --expires', 'Both say how long the token is good.')
  }
  if (ttl !== undefined) return { ttlMs: ttl }
  if (expires === undefined) return {}
  if (expires > now) return { ttlMs: Math.floor(expires - now) }
  throw misuse('--expires is past', 'Name a day to come, at most a year from now.')
}

/**
 * With a role, apps alone mean all their environments, and none at all means everything.
 * @throws LockstepError `bad-usage`
 */
function placesOf({ app: apps = [], env: environments = [] }: CreateOptions, role?: Role) {
  if (role !== undefined && environments.length === 0) {
    return (apps.length === 0 ? ['*'] : apps).map((app) => ({ app, environment: '*' }))
  }
  if (apps.length > 0 && apps.length === environments.length) {
    return apps.map((app, index) => ({ app, environment: environments[index] ?? '' }))
  }
  const [what, hint] =
    role === undefined
      ? ['a join token', 'Such as --app shop --env production --app blog --env production.']
      : ['this token', "For one environment of every app: --app '*' --env production."]
  throw misuse(
    `${what} needs --app and --env in pairs, and there are ${apps.length} and ${environments.length}`,
    hint,
  )
}

async function listTokens(session: Session, json: boolean): Promise<undefined> {
  const { terminal } = session
  const tokens = await session.client().tokens()
  if (json) terminal.json({ items: tokens, next: null })
  else
    terminal.lines(
      table(['ID', 'FOR', 'OWNER', 'GOOD UNTIL', 'USES LEFT', 'LAST USED'], tokens.map(row)),
    )
}

function row(token: TokenView): Text[] {
  const { id, kind, grants, owner, apps, expiresAt, usesLeft, lastUsedAt } = token
  const joins = apps.map(({ app, environment }) => `${app} ${environment}`).join(', ')
  return [
    id,
    kind === 'join' ? `join ${joins}` : grants.map(grantText).join(', '),
    owner ?? '-',
    instantText(expiresAt),
    usesLeft === null ? '-' : countText(usesLeft, 'use'),
    lastUsedAt === null ? 'never' : instantText(lastUsedAt),
  ]
}

async function revokeToken(
  session: Session,
  id: string,
  reason: string | undefined,
): Promise<undefined> {
  await session.client(reason).revokeToken(id)
  session.terminal.line([bold('revoked'), ` ${id}`])
}

function parseRole(text: string): Role {
  switch (text) {
    case 'viewer':
    case 'publisher':
    case 'deployer':
    case 'admin':
      return text
    default:
      throw misuse(
        `there is no role ${JSON.stringify(text)}`,
        'The roles are viewer, publisher, deployer and admin: docs/access.md.',
      )
  }
}

function orAll(parse: (text: string) => string) {
  return (text: string) => (text === '*' ? text : parse(text))
}

function appending(parse: (text: string) => string) {
  return (text: string, before: readonly string[] = []): readonly string[] => [
    ...before,
    parse(text),
  ]
}
