// `lockstep agent uninstall` and `lockstep controller uninstall`: undo an installation. Never touch an
// app's root, its releases, or any directory of the operator's own choice.

import { rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCodeOf } from '#shared/errors.ts'
import { lookUpAccount, removeAccount } from './account.ts'
import { removeFile } from './durable-file.ts'
import { withdrawRequests } from './grant-rights.ts'
import { at, type Host, installed, type Role, services } from './host.ts'
import { forgetAccount, type InstallRecord, readRecord, removeRecord } from './install-record.ts'
import { ownedAmong } from './owned-directory.ts'
import { checkHost, exists } from './preflight.ts'
import { removeProgram } from './program.ts'
import type { InstallReport } from './report.ts'
import { isUnitInstalled, removeService } from './service.ts'

export interface UninstallOptions {
  /** Also removes the configuration and, for the controller, the data in its state directory. */
  readonly purge?: boolean | undefined
}

export interface UninstallContext {
  readonly host: Host
}

/**
 * The agent's identity goes with it: installed again, it joins as a new host.
 * @throws LockstepError `not-root`, `unsupported-host`, `install-failed`
 */
export function uninstallAgent(
  options: UninstallOptions,
  context: UninstallContext,
): Promise<InstallReport> {
  return uninstall('agent', { ...options, removesState: true }, context.host)
}

/**
 * The data stays without `purge`: nobody can publish those releases again.
 * @throws LockstepError `not-root`, `unsupported-host`, `install-failed`
 */
export function uninstallController(
  options: UninstallOptions,
  context: UninstallContext,
): Promise<InstallReport> {
  const removesState = options.purge === true
  return uninstall('controller', { ...options, removesState }, context.host)
}

async function uninstall(
  role: Role,
  options: UninstallOptions & { removesState: boolean },
  host: Host,
): Promise<InstallReport> {
  await checkHost(host, `${role} uninstall`)
  const steps: string[] = []
  const notes: string[] = []
  const { unit, stateDirectory, configurationFile } = services[role]
  const record = await readRecord(host)
  if (role === 'agent') {
    await removeUsageUnit(host)
    await withdrawRequests(host)
  }
  if ((await removeService(host, role)) === 'removed') steps.push(`stopped and removed ${unit}`)
  const files = [
    ...(role === 'agent' ? [installed.unitRights] : []),
    ...(options.purge === true ? [configurationFile] : []),
  ]
  for (const path of files) {
    if ((await removeFile(at(host, path))) === 'removed') steps.push(`removed ${path}`)
  }
  if (options.removesState && (await exists(at(host, stateDirectory)))) {
    await rm(at(host, stateDirectory), { recursive: true })
    steps.push(`removed ${stateDirectory}`)
  }
  const other: Role = role === 'agent' ? 'controller' : 'agent'
  const isOtherThere = await isUnitInstalled(host, other)
  if (!isOtherThere) {
    if ((await removeProgram(host)) === 'removed') {
      steps.push(`removed ${installed.programDirectory}`)
    }
  }
  const remaining = await undoAccount(host, role, { steps, notes })
  // The other service, or an account that had to stay, still needs it.
  if (!isOtherThere && remaining.accountsCreated.length === 0) await removeRecord(host)
  await removeIfEmpty(at(host, installed.configurationDirectory))
  const left = await existing(host, [...record.directories, stateDirectory, configurationFile])
  if (left.length > 0) notes.push(`left as they are: ${left.join(', ')}.`)
  return { role, program: null, steps, notes }
}

/** Before the service, whose removal has systemd forget both. */
async function removeUsageUnit(host: Host): Promise<void> {
  await removeFile(at(host, join(installed.unitDirectory, installed.usageUnit)))
  await rm(at(host, installed.usageDirectory), { recursive: true, force: true })
}

/**
 * An account that still owns something stays: its number would pass to the next account that is made,
 * and with it every file.
 */
async function undoAccount(
  host: Host,
  role: Role,
  said: { steps: string[]; notes: string[] },
): Promise<InstallRecord> {
  const { account } = services[role]
  const record = await readRecord(host)
  if (!record.accountsCreated.includes(account)) return record
  const owner = await lookUpAccount(host, role)
  const states = Object.values(services).map(({ stateDirectory }) => stateDirectory)
  const owned =
    owner === undefined ? [] : await ownedAmong(host, [...record.directories, ...states], owner)
  if (owned.length > 0) {
    said.notes.push(
      `the account ${account}, which nobody can log in to, was kept because it owns ` +
        `${owned.join(', ')}; \`userdel ${account}\` removes it when that is gone or handed over.`,
    )
    return record
  }
  if (owner !== undefined) {
    await removeAccount(host, role)
    said.steps.push(`removed the account ${account}`)
  }
  return forgetAccount(host, account)
}

async function removeIfEmpty(directory: string): Promise<void> {
  try {
    await rmdir(directory)
  } catch (error) {
    const code = systemCodeOf(error)
    if (code !== 'ENOENT' && code !== 'ENOTEMPTY') throw error
  }
}

async function existing(host: Host, paths: readonly string[]): Promise<string[]> {
  const found = await Promise.all(paths.map((path) => exists(at(host, path))))
  return paths.filter((_path, index) => found[index])
}
