// `lockstep controller install`: makes this machine the controller's. Everything that it is told is
// judged before anything is changed; run again it keeps the configuration and the data.

import {
  type ControllerOptions,
  type ControllerSettings,
  controllerSettingsOf,
  differingControllerOptions,
  parseControllerSettings,
  portOf,
  renderControllerSettings,
  speaksTls,
} from './controller-settings.ts'
import { controllerDropIn } from './drop-in.ts'
import { type Host, services } from './host.ts'
import {
  newProgress,
  prepareAccount,
  prepareDirectories,
  type Progress,
  readConfiguration,
  runService,
  writeConfiguration,
} from './install.ts'
import type { DirectoryWish } from './owned-directory.ts'
import { readProgram } from './program-files.ts'
import { checkHost } from './preflight.ts'
import type { InstallReport } from './report.ts'

export type InstallControllerOptions = ControllerOptions

export interface InstallControllerContext {
  readonly host: Host
  /** The checkout or installed program that runs this. */
  readonly programDirectory: string
}

/**
 * @throws LockstepError `not-root`, `unsupported-host`, `bad-usage`, `bad-configuration`: nothing was
 *   changed; `install-failed`: what was done stays, and the command may be repeated
 */
export async function installController(
  options: InstallControllerOptions,
  context: InstallControllerContext,
): Promise<InstallReport> {
  const { host } = context
  const progress = newProgress()
  await checkHost(host, 'controller install')
  const settings = await chooseSettings(options, host, progress)
  const program = await readProgram(context.programDirectory)
  const account = await prepareAccount(host, 'controller', progress)
  await prepareDirectories(host, directoriesOf(settings), account, progress)
  await writeConfiguration(
    host,
    'controller',
    renderControllerSettings(settings),
    account,
    progress,
  )
  const dropIn = controllerDropIn({ data: settings.data, port: portOf(settings) })
  const report = await runService(host, 'controller', { program, dropIn }, progress)
  return { ...report, notes: [...report.notes, ...whereToFind(settings)] }
}

/** What the operator copies to where the command is used. */
function whereToFind(settings: ControllerSettings): string[] {
  const token = `The admin token is in ${settings.data}/admin-token, for root to read.`
  if (!speaksTls(settings)) return [token]
  return [
    token,
    `The controller is known by ${settings.data}/ca.pem: set LOCKSTEP_CA to a copy of it.`,
  ]
}

/** A data directory of the operator's own choice; systemd makes the unit's own. */
function directoriesOf({ data }: ControllerSettings): DirectoryWish[] {
  return data === services.controller.stateDirectory ? [] : [{ path: data, mode: 0o700 }]
}

/** The file that is there wins over every option; what it contradicts is told. */
async function chooseSettings(
  options: InstallControllerOptions,
  host: Host,
  progress: Progress,
): Promise<ControllerSettings> {
  const { configurationFile } = services.controller
  const kept = await readConfiguration(host, 'controller')
  if (kept === undefined) return controllerSettingsOf(options)
  const settings = parseControllerSettings(kept, configurationFile)
  const differing = differingControllerOptions(options, settings)
  if (differing.length > 0) {
    progress.notes.push(
      `${configurationFile} exists and was kept, without ${differing.join(', ')}; edit it and ` +
        'install again to change it.',
    )
  }
  return settings
}
