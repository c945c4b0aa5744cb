// What a publisher says of a release when signing it, as options, and how people read a statement.

import { type Command, Option } from 'commander'
import { parseEnvironment } from '#shared/ids.ts'
import { limits } from '#shared/limits.ts'
import type { Statement } from '#shared/trust/statement.ts'
import { misuse, parseDuration, parseSequence } from '../arguments.ts'
import { bytesText, durationText, instantText } from '../output/quantities.ts'
import type { Text } from '../output/text.ts'
import type { Claims } from '../signing/release-statement.ts'

export interface StatementOptions {
  readonly sequence?: number
  readonly env?: readonly string[]
  /** Milliseconds; false for never. */
  readonly expires: number | false
  readonly floor?: number
  readonly key?: string
}

export function withStatementOptions(command: Command): Command {
  return command
    .option(
      '--sequence <n>',
      'orders the releases of the app: higher than all before, such as the number of the CI run',
      parseSequence,
    )
    .option('--env <environment>', 'where it may run (repeatable)', environments)
    .addOption(
      new Option('--expires <duration>', 'how long it may be staged anew')
        .argParser(parseDuration)
        .default(limits.statementMs, '90d'),
    )
    .option('--no-expires', 'it may be staged for ever')
    .option(
      '--floor <n>',
      'once it is committed, nothing with a lower sequence is staged any more',
      parseSequence,
    )
    .option('--key <file>', 'the private key; otherwise LOCKSTEP_SIGNING_KEY holds it')
}

/** @throws LockstepError `bad-usage` when an option is missing */
export function claimsOf(
  release: { app: string; version: string },
  { sequence, env, expires, floor }: StatementOptions,
  now: number,
): Claims {
  if (sequence === undefined) {
    throw misuse(
      'it is not said which sequence the release has',
      'Give --sequence N, higher than of every release before: the number of the CI run, say.',
    )
  }
  if (env === undefined) {
    throw misuse('it is not said where the release may run', 'Give --env production, for each.')
  }
  if (floor !== undefined && floor > sequence) {
    throw misuse(
      `the statement has a floor of ${floor}, above its own sequence ${sequence}`,
      'The floor is the lowest sequence that may still be staged, and this release is to be.',
    )
  }
  const expiresAt = expires === false ? null : now + expires
  const { app, version } = release
  return { app, version, sequence, environments: env, expiresAt, floor }
}

/** What a statement says, as rows under each other. */
export function statementRows(
  { tree, artifact, environments, expiresAt, sequence, floor }: Statement,
  now: number,
): [name: string, value: Text | undefined][] {
  return [
    ['sequence', String(sequence)],
    ['floor', floor === undefined ? undefined : String(floor)],
    ['tree', tree],
    ['tarball', `${bytesText(artifact.bytes)}, sha256 ${artifact.sha256}`],
    ['for', environments.join(', ')],
    ['expires', expiresAt === null ? 'never' : expiryText(expiresAt, now)],
  ]
}

function expiryText(at: number, now: number): string {
  const away = durationText(Math.abs(at - now))
  return `${instantText(at)} (${at > now ? `in ${away}` : `${away} ago`})`
}

function environments(text: string, before: readonly string[] = []): readonly string[] {
  const environment = parseEnvironment(text)
  if (!before.includes(environment)) return [...before, environment]
  throw misuse(`--env names ${environment} twice`, 'Name each environment once.')
}
