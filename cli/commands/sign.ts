// `lockstep sign` and `countersign`: from a tarball, and what its publisher says of it, to a signed
// statement; and a further signature to one that is there. Needs no controller.

import type { Command } from 'commander'
import { formatEnvelope } from '#shared/trust/envelope.ts'
import { misuse, parseStrip } from '../arguments.ts'
import { makeFile } from '../made-file.ts'
import { facts } from '../output/table.ts'
import { good } from '../output/text.ts'
import type { RunJob, Session } from '../session.ts'
import { statementOf } from '../signing/release-statement.ts'
import { openSigner, signEnvelope } from '../signing/signer.ts'
import { checkIsOf, readStatementFile } from '../signing/statement-file.ts'
import { readGivenTarball } from '../tarball/tarball-file.ts'
import { appArgument, versionArgument } from './place.ts'
import { type RequirementOptions, requirementsOf, withRequirements } from './requirements.ts'
import {
  claimsOf,
  type StatementOptions,
  statementRows,
  withStatementOptions,
} from './statement-options.ts'

interface ReadingOptions extends RequirementOptions {
  readonly strip: number
}

interface SignOptions extends StatementOptions, ReadingOptions {
  readonly output?: string
  readonly force?: true
  readonly json?: true
}

interface CountersignOptions extends ReadingOptions {
  readonly key?: string
  readonly tarball?: string
  readonly json?: true
}

export function addSign(program: Command, run: RunJob): void {
  const sign = program
    .command('sign')
    .description('sign what a release is, so that hosts know it whoever brings it')
    .addArgument(appArgument())
    .addArgument(versionArgument())
    .argument('<tarball>', 'what will be published: a file, or - for standard input')
  withStatementOptions(sign)
    .option('--output <file>', 'the statement; otherwise TARBALL.statement.json')
    .option('--force', 'replace a statement that is there')
    .option('--json', 'print the statement’s file and what it says as JSON')
    .option('--strip <n>', 'as it will be published', parseStrip, 0)
  withRequirements(sign).action(
    (app: string, version: string, tarball: string, options: SignOptions) =>
      run((session) => signRelease(session, { app, version, tarball, ...options })),
  )
  const countersign = program
    .command('countersign')
    .description('add a signature to a statement, for hosts that ask for more than one')
    .argument('<statement>', 'the file; the signature is added to it')
    .option('--tarball <file>', 'look first whether the statement is of this tarball')
    .option('--key <file>', 'the private key; otherwise LOCKSTEP_SIGNING_KEY holds it')
    .option('--json', 'print the statement’s file and what it says as JSON')
    .option('--strip <n>', 'as it is published', parseStrip, 0)
  withRequirements(countersign).action((path: string, options: CountersignOptions) =>
    run((session) => addSignature(session, path, options)),
  )
}

async function signRelease(
  session: Session,
  options: SignOptions & { app: string; version: string; tarball: string },
): Promise<undefined> {
  const { env, clock } = session
  const claims = claimsOf(options, options, clock.now())
  const path = options.output ?? statementPathOf(options.tarball)
  const signer = await openSigner(options.key, env)
  const tarball = await readGivenTarball(options.tarball, session.stdin, readingOf(options))
  const { statement, envelope } = statementOf(claims, tarball)
  const signed = await signEnvelope(envelope, signer)
  const mayReplace = options.force === true
  await makeFile({ path, text: formatEnvelope(signed), mode: 0o644, mayReplace })
  tell(session, { path, statement, signers: [signer.key.id] }, options.json === true)
}

async function addSignature(
  session: Session,
  path: string,
  options: CountersignOptions,
): Promise<undefined> {
  const { envelope, statement } = await readStatementFile(path)
  if (options.tarball !== undefined) {
    const facts = await readGivenTarball(options.tarball, session.stdin, readingOf(options))
    checkIsOf(statement, { ...statement, facts })
  }
  const signed = await signEnvelope(envelope, await openSigner(options.key, session.env))
  await makeFile({ path, text: formatEnvelope(signed), mode: 0o644, mayReplace: true })
  const signers = signed.signatures.map(({ keyId }) => keyId)
  tell(session, { path, statement, signers }, options.json === true)
}

function statementPathOf(tarball: string): string {
  if (tarball !== '-') return `${tarball}.statement.json`
  throw misuse('it is not said where the statement goes', 'Name its file with --output FILE.')
}

function readingOf(options: ReadingOptions) {
  return { strip: options.strip, requires: requirementsOf(options)?.requires ?? null }
}

interface Signed {
  readonly path: string
  readonly statement: Parameters<typeof statementRows>[0]
  /** Ids of their keys. */
  readonly signers: readonly string[]
}

function tell({ terminal, clock }: Session, signed: Signed, json: boolean): void {
  const { path, statement, signers } = signed
  const { expiresAt: _, ...said } = statement
  if (json) {
    terminal.json({ file: path, signedBy: signers, ...said })
    return
  }
  terminal.line([good('signed'), ` ${statement.app} ${statement.version}`])
  terminal.lines(
    facts([
      ...statementRows(statement, clock.now()),
      ['signed by', signers.join(', ')],
      ['statement', path],
    ]),
  )
}
