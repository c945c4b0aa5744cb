// `lockstep verify`: whether hosts would trust a signed statement, and whether it is of this tarball.
// Exit code 0 only for what was verified. Needs no controller.

import type { Command } from 'commander'
import { parseApp, parseEnvironment } from '#shared/ids.ts'
import { limits } from '#shared/limits.ts'
import { parsePublicKey } from '#shared/trust/public-key.ts'
import { parseTrustPolicy, type TrustPolicy } from '#shared/trust/trust-policy.ts'
import { misuse, parseStrip } from '../arguments.ts'
import { readGivenFile } from '../given-file.ts'
import { facts } from '../output/table.ts'
import { good, type Text, warning } from '../output/text.ts'
import type { RunJob, Session } from '../session.ts'
import { readStatementFile } from '../signing/statement-file.ts'
import { policyOf, type Verified, verify } from '../signing/verification.ts'
import { readGivenTarball } from '../tarball/tarball-file.ts'
import { type RequirementOptions, requirementsOf, withRequirements } from './requirements.ts'
import { statementRows } from './statement-options.ts'

interface VerifyOptions extends RequirementOptions {
  readonly trust?: string
  readonly key?: readonly string[]
  readonly tarball?: string
  readonly env?: string
  readonly app?: string
  readonly strip: number
  readonly json?: true
}

export function addVerify(program: Command, run: RunJob): void {
  const repeated = (text: string, before: readonly string[] = []) => [...before, text]
  const command = program
    .command('verify')
    .description('verify a signed statement as a host would, and a tarball against it')
    .argument('<statement>', 'the file that `lockstep sign` made')
    .option('--trust <file>', 'by a trust file, such as a host’s /etc/lockstep/trust.json')
    .option('--key <file>', 'by a public key, which has to have signed (repeatable)', repeated)
    .option('--tarball <file>', 'whether the statement is of this tarball; - for standard input')
    .option('--env <environment>', 'for this environment; otherwise for all', parseEnvironment)
    .option('--app <app>', 'whether it is of this app', parseApp)
    .option('--json', 'print what was verified as JSON')
    .option('--strip <n>', 'as the tarball is published', parseStrip, 0)
  withRequirements(command).action((path: string, options: VerifyOptions) =>
    run((session) => verifyStatement(session, path, options)),
  )
}

async function verifyStatement(
  session: Session,
  path: string,
  options: VerifyOptions,
): Promise<undefined> {
  const policy = await policyFrom(options)
  const file = await readStatementFile(path)
  const { statement } = file
  const { tarball, strip, app = statement.app } = options
  const requires = requirementsOf(options)?.requires ?? null
  const facts =
    tarball === undefined
      ? null
      : await readGivenTarball(tarball, session.stdin, { strip, requires })
  const environments = options.env === undefined ? statement.environments : [options.env]
  const release = { app, version: statement.version, facts }
  const at = session.clock.now()
  const verified = verify({ ...file, policy, release, environments, at })
  if (options.json) {
    const { expiresAt: _, ...said } = statement
    const compared = facts !== null
    session.terminal.json({ file: path, statement: said, verified, tarball: compared })
  } else {
    tell(session, { path, statement, verified, hasTarball: facts !== null })
  }
}

/** @throws LockstepError `bad-usage`, `bad-trust-file`, `bad-public-key` */
async function policyFrom({ trust, key: keyFiles = [] }: VerifyOptions): Promise<TrustPolicy> {
  if ((trust === undefined) === (keyFiles.length === 0)) {
    throw misuse(
      'it is not said whom to trust',
      'Give either --trust FILE, or --key FILE.pub for each key that has to have signed.',
    )
  }
  if (trust !== undefined) {
    const { content } = await readGivenFile(trust, 'the trust file', limits.trustFileBytesMax)
    return parseTrustPolicy(content)
  }
  const keys = keyFiles.map(async (name) => {
    const { content } = await readGivenFile(name, 'the key', limits.publicKeyCharsMax)
    return { name, key: parsePublicKey(content.toString('utf8')) }
  })
  return policyOf(await Promise.all(keys))
}

interface Told {
  readonly path: string
  readonly statement: Parameters<typeof statementRows>[0]
  readonly verified: readonly Verified[]
  readonly hasTarball: boolean
}

function tell({ terminal, clock }: Session, told: Told): void {
  const { statement, verified } = told
  const rows = statementRows(statement, clock.now()).filter(([name]) => name !== 'for')
  terminal.line([good('verified'), ` ${statement.app} ${statement.version}`])
  terminal.lines(facts([...rows, ...verified.map(rowOf)]))
  if (!told.hasTarball) {
    terminal.note('the tarball itself was not looked at; give it with --tarball')
  }
}

function rowOf({ environment, signers }: Verified): [string, Text] {
  if (signers === null) return [environment, warning('no signature is asked for')]
  return [environment, `signed by ${signers.join(', ')}`]
}
