// Grants the agent, which is not root, the few things that it may ask of systemd: by a rule of polkit's,
// or, where polkit cannot tell one unit from another, by a socket for each of them. One of the two
// stands; the other is taken away.

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { polkitOf } from '#shared/polkit.ts'
import type { AgentSettings } from './agent-settings.ts'
import { removeFile, writeFileDurably } from './durable-file.ts'
import { at, type Host, installed } from './host.ts'
import type { Progress } from './install.ts'
import { exists } from './preflight.ts'
import { systemctl } from './service.ts'
import { type UnitRights, unitRightsOf, unitRightsRule } from './unit-rights.ts'
import { unitRequestFiles, unitRequestsOf } from './unit-requests.ts'

/** What unit-requests.ts names; an administrator's drop-ins are none of them. */
const namePattern = /^lockstep-ask-[a-z]+-[0-9a-f]{16}(?:\.socket|@\.service)$/

/** @throws LockstepError `install-failed` when systemd does not take the sockets */
export async function grantRights(
  host: Host,
  settings: AgentSettings,
  progress: Progress,
): Promise<void> {
  const rights = unitRightsOf(settings)
  const { stdout, exitCode } = await host.run('pkaction', ['--version'])
  const polkit = polkitOf(exitCode === 0 ? stdout : null)
  const hasDirectory = await exists(at(host, installed.polkitDirectory))
  if (hasDirectory && polkit.kind !== 'old') {
    await replaceRequests(host, [], progress)
    await writeRule(host, rights, progress)
    return
  }
  await removeFile(at(host, installed.unitRights))
  const why = polkit.kind === 'old' ? `${polkit.name} knows no single units` : 'there is no polkit'
  await replaceRequests(host, unitRequestsOf(rights).flatMap(unitRequestFiles), progress, why)
}

/** Takes the sockets away, as uninstalling does. */
export async function withdrawRequests(host: Host): Promise<void> {
  await replaceRequests(host, [], null)
}

async function writeRule(host: Host, rights: UnitRights, progress: Progress): Promise<void> {
  const path = at(host, installed.unitRights)
  const change = await writeFileDurably(path, { content: unitRightsRule(rights), mode: 0o644 })
  if (change === 'unchanged') return
  progress.steps.push(`wrote ${installed.unitRights} for ${namesOf(rights)}`)
}

function namesOf({ reload, restart, hooks, looks }: UnitRights): string {
  return [...reload, ...restart, ...hooks.map((beginning) => `${beginning}…`), ...looks].join(', ')
}

async function replaceRequests(
  host: Host,
  files: readonly { unit: string; text: string }[],
  progress: Progress | null,
  why = '',
): Promise<void> {
  const directory = at(host, installed.unitDirectory)
  const wished = new Set(files.map(({ unit }) => unit))
  const ours = (await readdir(directory)).filter((name) => namePattern.test(name))
  const old = ours.filter((name) => !wished.has(name))
  const oldSockets = old.filter(isSocket)
  if (oldSockets.length > 0) await systemctl(host, ['disable', '--now', ...oldSockets])
  for (const unit of old) await removeFile(join(directory, unit))
  let hasChanged = old.length > 0
  for (const { unit, text } of files) {
    const change = await writeFileDurably(join(directory, unit), { content: text, mode: 0o644 })
    hasChanged ||= change !== 'unchanged'
  }
  if (!hasChanged) return
  await systemctl(host, ['daemon-reload'])
  const sockets = [...wished].filter(isSocket)
  if (sockets.length > 0) await systemctl(host, ['enable', '--now', ...sockets])
  progress?.steps.push(
    sockets.length === 0
      ? 'removed the sockets that stood in for polkit'
      : `let the agent ask for units over ${sockets.length} sockets, since ${why}`,
  )
}

function isSocket(unit: string): boolean {
  return unit.endsWith('.socket')
}
