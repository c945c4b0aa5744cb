// The program on a host: /opt/lockstep/versions/<v> and the link `current`, which changes by one rename.
// A version's directory is never written again once it has its name.

import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { chmod, copyFile, mkdir, readdir, realpath, rename, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { LockstepError } from '#shared/errors.ts'
import {
  type Change,
  ensureDirectory,
  swapLink,
  syncDirectory,
  unlessMissing,
} from './durable-file.ts'
import { at, type Host, installed } from './host.ts'
import { type Program, type ProgramEntry, readProgram } from './program-files.ts'

export interface InstalledProgram {
  /** The directory's name: the version, and a piece of the digest where two builds bear it. */
  readonly label: string
  readonly copy: 'copied' | 'present'
  readonly link: Change
}

/**
 * Copies the program beside others and lets `current` name it.
 * @param program what `readProgram` found
 * @throws LockstepError `install-failed`
 */
export async function installProgram(host: Host, program: Program): Promise<InstalledProgram> {
  const versions = at(host, join(installed.programDirectory, 'versions'))
  await ensureDirectory(at(host, installed.programDirectory), 0o755)
  await ensureDirectory(versions, 0o755)
  await removeAbandoned(versions)
  const place = await placeFor(versions, program)
  if (place.copy === 'copied') await copyProgram(host, program, versions, place.label)
  const link = await swapLink(
    at(host, join(installed.programDirectory, 'current')),
    join('versions', place.label),
  )
  return { ...place, link }
}

export async function removeProgram(host: Host): Promise<'removed' | 'absent'> {
  const directory = at(host, installed.programDirectory)
  if ((await unlessMissing(realpath(directory))) === undefined) return 'absent'
  await rm(directory, { recursive: true })
  return 'removed'
}

/**
 * The version's own name, unless another build of that version has it: a running program must not
 * change under its feet, so a second build gets a name of its own.
 */
async function placeFor(
  versions: string,
  program: Program,
): Promise<Pick<InstalledProgram, 'label' | 'copy'>> {
  const second = `${program.version}+${program.digest.slice(0, 12)}`
  for (const label of [program.version, second]) {
    const found = await digestIn(join(versions, label))
    if (found === undefined) return { label, copy: 'copied' }
    if (found === program.digest) return { label, copy: 'present' }
  }
  return { label: `${second}.${randomBytes(4).toString('hex')}`, copy: 'copied' }
}

/** The digest of what lies in a version's directory now; `damaged` is no digest of any program. */
async function digestIn(directory: string): Promise<string | undefined> {
  if ((await unlessMissing(realpath(directory))) === undefined) return undefined
  try {
    return (await readProgram(directory)).digest
  } catch (error) {
    if (error instanceof LockstepError || error instanceof SyntaxError) return 'damaged'
    throw error
  }
}

async function copyProgram(
  host: Host,
  program: Program,
  versions: string,
  label: string,
): Promise<void> {
  const staging = join(versions, `.staging-${process.pid}`)
  await mkdir(staging, { mode: 0o755 })
  await chmod(staging, 0o755)
  for (const entry of program.entries) await copyEntry(program.directory, staging, entry)
  if ((await readProgram(staging)).digest !== program.digest) {
    await rm(staging, { recursive: true })
    throw new LockstepError('install-failed', `${program.directory} changed while it was copied`, {
      hint: 'Install again when nothing else writes there. The installed program is as it was.',
    })
  }
  // sync(1) -f is syncfs(2): one call instead of one for each of thousands of files.
  const synced = await host.run('sync', ['-f', staging])
  if (synced.exitCode !== 0) {
    throw new LockstepError('install-failed', `the program is not durable: ${synced.stderr.trim()}`)
  }
  await rename(staging, join(versions, label))
  await syncDirectory(versions)
}

async function copyEntry(source: string, target: string, entry: ProgramEntry): Promise<void> {
  const to = join(target, entry.path)
  switch (entry.type) {
    case 'directory':
      await mkdir(to)
      await chmod(to, 0o755)
      return
    case 'file':
      await copyFile(join(source, entry.path), to, constants.COPYFILE_FICLONE)
      await chmod(to, entry.mode)
      return
    case 'link':
      await symlink(entry.target, to)
      return
  }
}

/** Copies whose installer is no more. */
async function removeAbandoned(versions: string): Promise<void> {
  for (const name of await readdir(versions)) {
    const pid = /^\.staging-(\d+)$/.exec(name)?.[1]
    if (pid === undefined) continue
    const isAlive = (await unlessMissing(realpath(`/proc/${pid}`))) !== undefined
    if (isAlive && Number(pid) !== process.pid) continue
    await rm(join(versions, name), { recursive: true })
  }
}
