// `lockstep agent install`: makes this machine a host. Everything that it is told is judged before
// anything is changed; run again it changes nothing but the program, and keeps the configuration.

import { readFile } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import {
  type AgentOptions,
  type AgentSettings,
  differingOptions,
  type ParseAgentSettings,
  renderAgentSettings,
} from './agent-settings.ts'
import { agentDropIn } from './drop-in.ts'
import { grantRights } from './grant-rights.ts'
import { findGroups, passGroupsOn } from './release-groups.ts'
import { type Host, installed, services } from './host.ts'
import {
  newProgress,
  prepareAccount,
  prepareDirectories,
  type Progress,
  readConfiguration,
  runService,
  writeConfiguration,
} from './install.ts'
import { readJoinToken, storeJoinToken } from './join-token.ts'
import type { DirectoryWish } from './owned-directory.ts'
import { readProgram } from './program-files.ts'
import { checkHost } from './preflight.ts'
import type { InstallReport } from './report.ts'
import { writeUnitFile } from './service.ts'

export interface InstallAgentOptions extends AgentOptions {
  /** A whole configuration instead of the single options. */
  readonly configFile?: string | undefined
  /** A path, or `-` for standard input. Needed once, to enrol. */
  readonly joinTokenFile?: string | undefined
}

export interface InstallAgentContext {
  readonly host: Host
  /** The checkout or installed program that runs this. */
  readonly programDirectory: string
  readonly parseSettings: ParseAgentSettings
  readonly stdin: Readable
}

/**
 * @throws LockstepError `not-root`, `unsupported-host`, `bad-usage`, `bad-configuration`: nothing was
 *   changed; `install-failed`: what was done stays, and the command may be repeated
 */
export async function installAgent(
  options: InstallAgentOptions,
  context: InstallAgentContext,
): Promise<InstallReport> {
  const { host } = context
  const progress = newProgress()
  await checkHost(host, 'agent install')
  const { text, settings } = await chooseConfiguration(options, context, progress)
  const token =
    options.joinTokenFile === undefined
      ? undefined
      : await readJoinToken(options.joinTokenFile, context.stdin)
  const program = await readProgram(context.programDirectory)
  const account = await prepareAccount(host, 'agent', progress)
  const groups = await findGroups(host, settings.apps)
  await prepareDirectories(host, directoriesOf(settings), account, progress)
  await passGroupsOn(host, groups, account, progress)
  await writeConfiguration(host, 'agent', text, account, progress)
  if (token !== undefined) {
    await storeJoinToken(host, token, account)
    progress.hasChanged = true
    progress.steps.push(`laid the join token into ${installed.joinToken} until the agent enrols`)
  }
  if (await writeUnitFile(host, installed.usageUnit)) {
    progress.steps.push(`wrote ${installed.usageUnit}`)
  }
  await grantRights(host, settings, progress)
  const roots = settings.apps.map(({ root }) => root)
  const dropIn = agentDropIn({ state: settings.state, roots })
  return runService(host, 'agent', { program, dropIn }, progress)
}

/** The app roots, which a web server reads, and a state directory that is not the unit's own. */
function directoriesOf(settings: AgentSettings): DirectoryWish[] {
  const roots = settings.apps.map(({ root }) => ({ path: root, mode: 0o755 }))
  return settings.state === services.agent.stateDirectory
    ? roots
    : [...roots, { path: settings.state, mode: 0o700 }]
}

/** The file that is there wins over every option; what it contradicts is told. */
async function chooseConfiguration(
  options: InstallAgentOptions,
  context: InstallAgentContext,
  progress: Progress,
): Promise<{ text: string; settings: AgentSettings }> {
  const { configurationFile } = services.agent
  const parse = (text: string, file: string) => ({
    text,
    settings: context.parseSettings(text, { file, hostname: context.host.hostname }),
  })
  const given = await givenText(options)
  const kept = await readConfiguration(context.host, 'agent')
  if (kept === undefined) {
    const text = given ?? renderAgentSettings(options)
    return parse(text, options.configFile ?? 'the configuration from the options')
  }
  const found = parse(kept, configurationFile)
  const differing =
    given === undefined
      ? differingOptions(options, found.settings)
      : given === kept
        ? []
        : [`--config ${options.configFile}`]
  if (differing.length > 0) {
    progress.notes.push(
      `${configurationFile} exists and was kept, without ${differing.join(', ')}; edit it and ` +
        'install again to change it.',
    )
  }
  return found
}

async function givenText(options: InstallAgentOptions): Promise<string | undefined> {
  const { configFile, controller, name, app, environment, root } = options
  if (configFile === undefined) return undefined
  if ([controller, name, app, environment, root].some((value) => value !== undefined)) {
    throw new LockstepError('bad-usage', '--config stands alone, without single settings', {
      hint: 'Write them into the file. Nothing was changed.',
    })
  }
  try {
    return await readFile(configFile, 'utf8')
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    throw new LockstepError('bad-usage', `${configFile} cannot be read (${code})`, {
      hint: 'Nothing was changed.',
      cause: error,
    })
  }
}
