// What several commands take: the app, its environment, and --json. Only definitions.

import { Argument, type Command, Option } from 'commander'
import { parseApp, parseEnvironment, parseVersion } from '#shared/ids.ts'
import { misuse, parseReason } from '../arguments.ts'

export function appArgument(): Argument {
  return new Argument('<app>', 'what is deployed, such as shop').argParser(parseApp)
}

export function optionalAppArgument(): Argument {
  return new Argument('[app]', 'only this app').argParser(parseApp)
}

export function versionArgument(): Argument {
  return new Argument('<version>', 'the label of the release, such as 1.4.2').argParser(
    parseVersion,
  )
}

export function environmentOption(): Option {
  return new Option('--env <environment>', 'the app’s environment, such as production')
    .argParser(parseEnvironment)
    .makeOptionMandatory()
}

export function optionalEnvironmentOption(): Option {
  return new Option('--env <environment>', 'only this environment').argParser(parseEnvironment)
}

/** The agent's configuration, on the host itself. */
export function configurationOption(): Option {
  return new Option('--config <file>', 'the agent’s configuration').default(
    '/etc/lockstep/agent.toml',
  )
}

/** Apart from `--wait`, which says how long hosts have: both may be given. */
class NoWaitOption extends Option {
  override attributeName(): string {
    return 'follow'
  }
}

/** Its value is `follow`: true unless it is given. */
export function noWaitOption(): Option {
  return new NoWaitOption('--no-wait', 'start the rollout and leave').default(true)
}

/** Why, for the audit trail: of every command that changes something. */
export function withReason(command: Command): Command {
  return command.option('-m, --reason <text>', 'why, for the audit trail', parseReason)
}

/** @param what is printed, such as `the release` */
export function withJson(command: Command, what: string): Command {
  return command.option('--json', `print ${what} as JSON, as the controller’s API says it`)
}

/** @throws LockstepError `bad-usage` for an environment that belongs to no app */
export function checkFilter(app: string | undefined, environment: string | undefined): void {
  if (app !== undefined || environment === undefined) return
  throw misuse('--env is given without an app', 'An environment is an app’s: name the app too.')
}
