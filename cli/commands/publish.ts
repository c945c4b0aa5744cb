// `lockstep publish`: sends a built tarball to the controller as it lies on the disk, or from a pipe, with
// its signed statement, and believes the controller only what it computed itself.

import type { Command } from 'commander'
import type { ReleaseView } from '#shared/api/schemas.ts'
import { formatEnvelope } from '#shared/trust/envelope.ts'
import { misuse, parseStrip } from '../arguments.ts'
import { facts } from '../output/table.ts'
import { ageText, bytesText, countText, percentText } from '../output/quantities.ts'
import { good } from '../output/text.ts'
import type { RunJob, Session } from '../session.ts'
import { statementOf } from '../signing/release-statement.ts'
import { openSigner, signEnvelope } from '../signing/signer.ts'
import { checkIsOf, readStatementFile } from '../signing/statement-file.ts'
import { checkAnswer } from '../tarball/published-answer.ts'
import type { TarballFacts, TarballReading } from '../tarball/tarball-facts.ts'
import { openTarball, readGivenTarball } from '../tarball/tarball-file.ts'
import { TarballWitness } from '../tarball/tarball-witness.ts'
import { appArgument, versionArgument, withJson, withReason } from './place.ts'
import {
  requirementsOf,
  requirementWords,
  type RequirementOptions,
  withRequirements,
} from './requirements.ts'
import { claimsOf, type StatementOptions, withStatementOptions } from './statement-options.ts'

interface PublishOptions extends RequirementOptions, StatementOptions {
  readonly strip: number
  readonly statement?: string
  readonly sign?: true
  readonly reason?: string
  readonly json?: true
}

export function addPublish(program: Command, run: RunJob): void {
  const command = program
    .command('publish')
    .description('publish a built tarball (.tar, .tar.gz, .tar.zst) as a version, for good')
    .addArgument(appArgument())
    .addArgument(versionArgument())
    .argument('<tarball>', 'a file, or - for standard input')
    .option('--strip <n>', 'leave out this many leading folders of every path', parseStrip, 0)
    .option('--statement <file>', 'send this signed statement with it')
    .option('--sign', 'sign it now, with the options of `lockstep sign`:')
  withJson(withReason(withRequirements(withStatementOptions(command))), 'the release').action(
    (app: string, version: string, tarball: string, options: PublishOptions) =>
      run((session) => publish(session, { app, version, tarball, ...options })),
  )
}

async function publish(
  session: Session,
  options: PublishOptions & { app: string; version: string; tarball: string },
): Promise<undefined> {
  const { terminal } = session
  const { app, version, strip } = options
  const requirements = requirementsOf(options)
  const reading = { strip, requires: requirements?.requires ?? null }
  const client = session.client(options.reason)
  const { stream, sizeBytes } = await openTarball(options.tarball, session.stdin)
  try {
    const isFile = sizeBytes !== undefined
    const statementFor = await statementSource(session, options, isFile ? reading : null)
    const witness = new TarballWitness(stream, reading)
    const sent = { stream: witness.stream, sizeBytes, onSent: progress(session, sizeBytes) }
    const answer = await client.publish(app, version, strip, sent, requirements?.text)
    const facts = checkAnswer(answer, await witness.witnessed)
    const statement = await statementFor?.(facts)
    const release = statement ? await client.sendStatement(app, version, statement) : answer.release
    if (options.json) terminal.json(release)
    else tellRelease(session, answer.outcome, release)
  } finally {
    stream.destroy()
    terminal.clearTransient()
  }
}

/** Makes the statement of what was published, as text; undefined where none is asked for. */
type StatementSource = (facts: TarballFacts) => Promise<string>

/**
 * Whatever can be found out before anything is sent is: a version is for good.
 * @param reading null for a tarball that can be read only once
 * @throws LockstepError `bad-usage`, `other-release`, `bad-envelope`, `cannot-sign`.
 */
async function statementSource(
  session: Session,
  options: PublishOptions & { app: string; version: string; tarball: string },
  reading: TarballReading | null,
): Promise<StatementSource | undefined> {
  const { app, version, tarball } = options
  if (options.sign === undefined) {
    refuseIdle(options)
    if (options.statement === undefined) return undefined
    const { content, statement } = await readStatementFile(options.statement)
    checkIsOf(statement, { app, version, facts: null })
    if (reading !== null) {
      const facts = await readGivenTarball(tarball, session.stdin, reading)
      checkIsOf(statement, { app, version, facts })
    }
    return async (facts) => {
      checkIsOf(statement, { app, version, facts })
      return content.toString('utf8')
    }
  }
  if (options.statement !== undefined) {
    throw misuse(
      '--sign and --statement exclude each other',
      'Send what is signed, or sign it now.',
    )
  }
  const claims = claimsOf(options, options, session.clock.now())
  const signer = await openSigner(options.key, session.env)
  return async (facts) =>
    formatEnvelope(await signEnvelope(statementOf(claims, facts).envelope, signer))
}

/** What is signed with is said, but not that it is to be signed. */
function refuseIdle({ sequence, env, floor, key }: PublishOptions): void {
  const idle = Object.entries({ sequence, env, floor, key }).find(
    ([, value]) => value !== undefined,
  )
  if (idle === undefined) return
  throw misuse(`--${idle[0]} says nothing without --sign`, 'Give --sign too, or leave it out.')
}

/** Draws how far the sending is, at most every tenth of a second. */
function progress(
  { terminal, clock }: Session,
  sizeBytes: number | undefined,
): (sentBytes: number) => void {
  const startedAt = clock.now()
  let drawnAt = startedAt
  return (sentBytes) => {
    const now = clock.now()
    const isAllSent = sentBytes === sizeBytes
    if (!isAllSent && now - drawnAt < 100) return
    drawnAt = now
    const rate = `${bytesText((sentBytes * 1000) / Math.max(1, now - startedAt))}/s`
    if (isAllSent)
      terminal.transient(`sent ${bytesText(sentBytes)}; the controller checks and stores it`)
    else if (sizeBytes === undefined) terminal.transient(`sending ${bytesText(sentBytes)}, ${rate}`)
    else {
      const percent = percentText(sentBytes, sizeBytes)
      terminal.transient(`sending ${percent} of ${bytesText(sizeBytes)}, ${rate}`)
    }
  }
}

function tellRelease(
  { terminal, clock }: Session,
  outcome: 'published' | 'present',
  release: ReleaseView,
): void {
  const { app, version, entries, treeBytes, artifactBytes, tree, publishedAt, publishedBy } =
    release
  const age = ageText(clock.now() - publishedAt)
  terminal.line(
    outcome === 'published'
      ? [good('published'), ` ${app} ${version}`]
      : `${app} ${version} was published before with the same content (${age} ago, by ${publishedBy})`,
  )
  terminal.lines(
    facts([
      [
        'content',
        `${countText(entries, 'entry').replace(/entrys$/, 'entries')}, ${bytesText(treeBytes)}`,
      ],
      ['tarball', bytesText(artifactBytes)],
      ['tree', tree],
      ['requires', requirementWords(release.requires)],
      ['signed', signedWords(release)],
    ]),
  )
}

/** What the controller carries; whether the signatures hold is for the hosts to say. */
function signedWords({ statement, sequence }: ReleaseView): string | undefined {
  if (statement === null) return undefined
  return `sequence ${sequence}, for ${statement.environments.join(', ')}`
}
