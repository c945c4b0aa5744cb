// The command as a whole: all its commands, what it says of wrong usage, and the exit code of every end.
// docs/cli.md.

import { Command, CommanderError } from 'commander'
import { LockstepError } from '#shared/errors.ts'
import { requireNoSecretIn, withoutSecretText } from '#shared/secret-text.ts'
import { addAdopt } from './commands/adopt.ts'
import { addAgent } from './commands/agent.ts'
import { addApprove } from './commands/approve.ts'
import { addAudit } from './commands/audit.ts'
import { addBuild } from './commands/build.ts'
import { addCancel } from './commands/cancel.ts'
import { addContinue } from './commands/continue.ts'
import { addController } from './commands/controller.ts'
import { addDeploy } from './commands/deploy.ts'
import { addDiff } from './commands/diff.ts'
import { addDoctor } from './commands/doctor.ts'
import { addEnvironment, addFreeze } from './commands/freeze.ts'
import { addHistory } from './commands/history.ts'
import { addHosts } from './commands/hosts.ts'
import { addKeygen } from './commands/keygen.ts'
import { addLink } from './commands/link.ts'
import { addPlan } from './commands/plan.ts'
import { addPromote } from './commands/promote.ts'
import { addPublish } from './commands/publish.ts'
import { addReleases } from './commands/releases.ts'
import { addRollback } from './commands/rollback.ts'
import { addSign } from './commands/sign.ts'
import { addStatement } from './commands/statement.ts'
import { addStatus } from './commands/status.ts'
import { addToken } from './commands/token.ts'
import { addTrust } from './commands/trust.ts'
import { addVerify } from './commands/verify.ts'
import { addWatch } from './commands/watch.ts'
import { addWhoAmI } from './commands/who-am-i.ts'
import type { Terminal } from './output/terminal.ts'
import { bad, quotedLine } from './output/text.ts'
import { newSession, type RunJob } from './session.ts'
import { Interruption, type Surroundings } from './surroundings.ts'

/** A name, address, token or option that is missing or malformed is a wrong usage. */
const usageCodes = new Set(['bad-usage', 'bad-name'])

const usageExitCode = 2

const closing = `
Environment:
  LOCKSTEP_URL         where the controller is, such as https://deploy.example.com
  LOCKSTEP_CA          a copy of ca.pem from the controller’s data directory
  LOCKSTEP_PIN         or its pin: see lockstep controller pin --help
  LOCKSTEP_TOKEN_FILE  a file that holds the token to show to it
  LOCKSTEP_TOKEN       the token itself; stronger than the file
  LOCKSTEP_SIGNING_KEY the private key that signs, where no --key names its file

Exit codes:
  0  done                        3  rolled back
  1  failed                      4  aborted, nothing changed
  2  wrong usage                 5  ended with hosts unknown
  130, 143  interrupted; a rollout that was followed goes on`

/**
 * @param argv without program and script
 * @returns the exit code
 */
export async function runCommandLine(
  argv: readonly string[],
  surroundings: Surroundings,
): Promise<number> {
  const outcome = { exitCode: 0 }
  const program = commandLine(surroundings, async (job) => {
    const { url } = program.opts<{ url?: string }>()
    outcome.exitCode = (await job(newSession(surroundings, url))) ?? 0
  })
  try {
    requireNoSecretIn(argv)
    await program.parseAsync(argv, { from: 'user' })
    return outcome.exitCode
  } catch (error) {
    return tellFailure(error, surroundings.terminal)
  }
}

/** Every command and option; `run` gets what they are to do. */
export function commandLine(
  { version, terminal }: Pick<Surroundings, 'version' | 'terminal'>,
  run: RunJob,
): Command {
  const program = new Command('lockstep')
    .description('Moves a fleet of servers from one release to the next together.')
    .version(version, '--version', 'show the version of this command')
    .option('--url <address>', 'where the controller is; stronger than LOCKSTEP_URL')
    .helpCommand('help [command]', 'show the help of a command')
    .helpOption('-h, --help', 'show this help')
    .addHelpText('after', closing)
    .showHelpAfterError('  See `lockstep help` and `lockstep help COMMAND`.')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.lines(linesOf(text)),
      writeErr: (text) => linesOf(text).forEach((line) => terminal.note(line)),
      outputError: (text) => {
        const [first = '', ...rest] = linesOf(text.replace(/^error: /, ''))
        terminal.note([bad('lockstep'), `: ${first}`])
        for (const line of rest) terminal.note(quotedLine(line))
      },
    })
  for (const add of [
    addBuild,
    addKeygen,
    addSign,
    addVerify,
    addTrust,
    addPublish,
    addStatement,
    addReleases,
    addDiff,
    addPlan,
    addDeploy,
    addPromote,
    addRollback,
    addApprove,
    addContinue,
    addCancel,
    addFreeze,
    addEnvironment,
    addWatch,
    addStatus,
    addHosts,
    addHistory,
    addAudit,
    addToken,
    addWhoAmI,
    addController,
    addAgent,
    addAdopt,
    addLink,
    addDoctor,
  ]) {
    add(program, run)
  }
  return program
}

/** @throws what is a fault of the program itself */
function tellFailure(error: unknown, terminal: Terminal): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : usageExitCode
  if (error instanceof Interruption) return error.exitCode
  if (!(error instanceof LockstepError)) throw error
  const [first = '', ...rest] = withoutSecretText(error.message).split('\n')
  terminal.note([bad('lockstep'), `: ${first}`, rest.length === 0 ? ` (${error.code})` : ''])
  for (const line of rest) terminal.note(quotedLine(line))
  if (error.hint !== undefined) terminal.note(`  ${error.hint}`)
  return usageCodes.has(error.code) ? usageExitCode : 1
}

function linesOf(text: string): string[] {
  return text.replace(/\n$/, '').split('\n')
}
