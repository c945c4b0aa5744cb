// One unit on the host: written, enabled, started and seen to be active, or stopped and removed. Knows
// systemctl and journalctl; what the unit says is not its business.

import { readFile, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { ensureDirectory, removeFile, unlessMissing, writeFileDurably } from './durable-file.ts'
import { at, type Host, installed, type Role, services } from './host.ts'
import { exists } from './preflight.ts'

/** Sorts before what an administrator adds, so that theirs wins. */
const dropInName = '10-lockstep-install.conf'

export interface ServiceStart {
  readonly outcome: 'started' | 'restarted' | 'left running'
  /** What the daemon says of itself; empty where it says nothing. */
  readonly status: string
}

/** Writes unit and drop-in. @returns whether anything changed */
export async function writeUnit(host: Host, role: Role, dropIn: string): Promise<boolean> {
  const { unit } = services[role]
  const directory = at(host, installed.unitDirectory)
  await ensureDirectory(join(directory, `${unit}.d`), 0o755)
  const isNew = await writeUnitFile(host, unit)
  const change = await writeFileDurably(join(directory, `${unit}.d`, dropInName), {
    content: dropIn,
    mode: 0o644,
  })
  return isNew || change !== 'unchanged'
}

/** Writes a unit as it is beside this file. @returns whether it changed */
export async function writeUnitFile(host: Host, unit: string): Promise<boolean> {
  const source = fileURLToPath(new URL(unit, import.meta.url))
  const change = await writeFileDurably(join(at(host, installed.unitDirectory), unit), {
    content: await readFile(source, 'utf8'),
    mode: 0o644,
  })
  return change !== 'unchanged'
}

/**
 * Enables the unit and brings it up. One that runs already is restarted only if something changed.
 * @throws LockstepError `install-failed` with the journal's last lines
 */
export async function startService(
  host: Host,
  role: Role,
  hasChanged: boolean,
): Promise<ServiceStart> {
  const { unit } = services[role]
  await systemctl(host, ['daemon-reload'])
  await systemctl(host, ['enable', unit])
  const wasActive = await isActive(host, role)
  const isStale = hasChanged || (wasActive && (await isConfigurationNewer(host, role)))
  const start = await host.run('systemctl', [isStale ? 'restart' : 'start', unit])
  if (start.exitCode !== 0 || !(await isActive(host, role))) throw await startFailure(host, role)
  const outcome = !wasActive ? 'started' : isStale ? 'restarted' : 'left running'
  return { outcome, status: await property(host, unit, 'StatusText') }
}

export async function isUnitInstalled(host: Host, role: Role): Promise<boolean> {
  return exists(at(host, join(installed.unitDirectory, services[role].unit)))
}

/**
 * Stops, disables and removes the unit. An administrator's own drop-ins stay.
 * @throws LockstepError `install-failed` when it does not stop
 */
export async function removeService(host: Host, role: Role): Promise<'removed' | 'absent'> {
  if (!(await isUnitInstalled(host, role))) return 'absent'
  const { unit } = services[role]
  await systemctl(host, ['disable', '--now', unit])
  const directory = at(host, installed.unitDirectory)
  await removeFile(join(directory, `${unit}.d`, dropInName))
  await removeEmptyDirectory(join(directory, `${unit}.d`))
  await removeFile(join(directory, unit))
  await systemctl(host, ['daemon-reload'])
  // Forgets a failed start; systemd has nothing to forget where there was none.
  await host.run('systemctl', ['reset-failed', unit])
  return 'removed'
}

async function isActive(host: Host, role: Role): Promise<boolean> {
  return (await host.run('systemctl', ['is-active', '--quiet', services[role].unit])).exitCode === 0
}

/** A configuration that was changed by hand takes effect at the next installation. */
async function isConfigurationNewer(host: Host, role: Role): Promise<boolean> {
  const { unit, configurationFile } = services[role]
  const since = await property(host, unit, 'ActiveEnterTimestamp', ['--timestamp=unix'])
  const file = await unlessMissing(stat(at(host, configurationFile)))
  return file !== undefined && file.mtimeMs / 1000 > Number(since.replace('@', ''))
}

async function startFailure(host: Host, role: Role): Promise<LockstepError> {
  const { unit } = services[role]
  const [result, status, journal] = await Promise.all([
    property(host, unit, 'Result'),
    property(host, unit, 'ExecMainStatus'),
    host.run('journalctl', [
      '--unit',
      unit,
      '--boot',
      '--lines',
      String(limits.journalLinesShown),
      '--output',
      'cat',
      '--no-pager',
    ]),
  ])
  const lines = journal.stdout.trim().split('\n').filter(Boolean)
  const shown = lines.map((line) => `  ${line}`).join('\n')
  return new LockstepError(
    'install-failed',
    `${unit} did not start (${result}, exit status ${status}). Its journal ends:\n${shown}`,
    {
      hint:
        'The service is installed and tries again every 2 s: correct what it says, then see ' +
        `\`systemctl status ${unit}\`, or remove it with \`lockstep ${role} uninstall\`.`,
      details: { unit, result, journal: lines },
    },
  )
}

async function property(
  host: Host,
  unit: string,
  name: string,
  options: readonly string[] = [],
): Promise<string> {
  const args = ['show', unit, `--property=${name}`, '--value', ...options]
  return (await host.run('systemctl', args)).stdout.trim()
}

/** @throws LockstepError `install-failed` with what it says */
export async function systemctl(host: Host, args: readonly string[]): Promise<void> {
  const { exitCode, stderr } = await host.run('systemctl', args)
  if (exitCode === 0) return
  throw new LockstepError(
    'install-failed',
    `\`systemctl ${args.join(' ')}\` ended with ${exitCode}: ${stderr.trim()}`,
    { hint: 'Run it by hand to see more, then run this command again: it is harmless.' },
  )
}

async function removeEmptyDirectory(path: string): Promise<void> {
  try {
    await rmdir(path)
  } catch (error) {
    const code = systemCodeOf(error)
    if (code !== 'ENOENT' && code !== 'ENOTEMPTY') throw error
  }
}
