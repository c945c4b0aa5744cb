// What both installations share: the account, the program, the unit and its start, in an order in which
// everything that can be refused is refused before anything is changed.

import { chmod, chown, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Account, ensureAccount } from './account.ts'
import { ensureDirectory, unlessMissing, writeFileDurably } from './durable-file.ts'
import { at, configurationMode, type Host, installed, type Role, services } from './host.ts'
import { extendRecord } from './install-record.ts'
import { type DirectoryWish, ensureOwnedDirectories } from './owned-directory.ts'
import { installProgram } from './program.ts'
import type { Program } from './program-files.ts'
import type { InstallReport } from './report.ts'
import { isUnitInstalled, startService, writeUnit } from './service.ts'

/** What the operator is told, gathered while it happens. */
export interface Progress {
  readonly steps: string[]
  readonly notes: string[]
  /** Whether the service must be restarted to take it in. */
  hasChanged: boolean
}

export function newProgress(): Progress {
  return { steps: [], notes: [], hasChanged: false }
}

/** The configuration that is there; undefined at a first installation. */
export function readConfiguration(host: Host, role: Role): Promise<string | undefined> {
  return unlessMissing(readFile(at(host, services[role].configurationFile), 'utf8'))
}

export async function prepareAccount(host: Host, role: Role, progress: Progress): Promise<Account> {
  const account = await ensureAccount(host, role)
  if (account.origin === 'created') progress.steps.push(`made the account ${account.name}`)
  return account
}

/** Makes what is missing, and remembers all of it for the uninstallation. */
export async function prepareDirectories(
  host: Host,
  wishes: readonly DirectoryWish[],
  account: Account,
  progress: Progress,
): Promise<void> {
  const made = await ensureOwnedDirectories(host, wishes, account)
  progress.steps.push(...made.map((path) => `made ${path}`))
  await extendRecord(host, { directories: wishes.map(({ path }) => path) })
}

/**
 * Writes a first configuration. One that is there keeps its content; only where the service could not
 * read it, its group and mode are set.
 */
export async function writeConfiguration(
  host: Host,
  role: Role,
  text: string,
  account: Account,
  progress: Progress,
): Promise<void> {
  const { configurationFile } = services[role]
  const path = at(host, configurationFile)
  const { name, gid } = account
  await ensureDirectory(at(host, installed.configurationDirectory), configurationMode)
  const facts = await unlessMissing(stat(path))
  if (facts === undefined) {
    await writeFileDurably(path, { content: text, mode: 0o640, owner: { gid } })
    progress.hasChanged = true
    progress.steps.push(`wrote ${configurationFile}`)
  } else if ((facts.mode & 0o004) === 0 && (facts.gid !== gid || (facts.mode & 0o040) === 0)) {
    await chown(path, facts.uid, gid)
    await chmod(path, 0o640)
    progress.steps.push(`let ${name} read ${configurationFile}`)
  }
}

/** Copies the program, writes the unit, starts the service. */
export async function runService(
  host: Host,
  role: Role,
  inputs: { program: Program; dropIn: string },
  progress: Progress,
): Promise<InstallReport> {
  const { unit } = services[role]
  const { label, copy, link } = await installProgram(host, inputs.program)
  const place = join(installed.programDirectory, 'versions', label)
  progress.steps.push(
    copy === 'copied' ? `copied the program to ${place}` : `${place} was already there`,
  )
  if (link !== 'unchanged') await noteProgramChange(host, role, progress)
  if (await writeUnit(host, role, inputs.dropIn)) {
    progress.hasChanged = true
    progress.steps.push(`wrote ${unit}`)
  }
  const { outcome, status } = await startService(host, role, progress.hasChanged)
  const did = outcome === 'left running' ? `left ${unit} running` : `${outcome} ${unit}`
  progress.steps.push(`${did}; it is active${status === '' ? '' : `: ${status}`}`)
  return { role, program: label, steps: progress.steps, notes: progress.notes }
}

async function noteProgramChange(host: Host, role: Role, progress: Progress): Promise<void> {
  progress.hasChanged = true
  const other: Role = role === 'agent' ? 'controller' : 'agent'
  if (!(await isUnitInstalled(host, other))) return
  progress.notes.push(
    `${services[other].unit} still runs the program that it was started with; ` +
      `\`lockstep ${other} install\` takes it over to this one.`,
  )
}
