// Whose group the files of releases are, set up by root once, so that the agent needs no right to give
// files away: each app's .lockstep/ hands its group on to whatever is built in it (inode(7), "the
// set-group-ID bit"). agent/layout/group-directory.ts relies on it.

import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { LockstepError } from '#shared/errors.ts'
import type { NamedOwner } from './account.ts'
import { ensureDirectory, unlessMissing } from './durable-file.ts'
import { at, type Host, services } from './host.ts'
import type { Progress } from './install.ts'

export interface ReleaseGroup {
  readonly root: string
  readonly name: string | null
  /** Null where the configuration names none. */
  readonly gid: number | null
}

interface GroupWish {
  readonly app: string
  readonly root: string
  readonly group: string | null
}

const handingOn = 0o2755
const plain = 0o755

/**
 * Only looks.
 * @throws LockstepError `bad-configuration` for every group that is not there or not the account's
 */
export async function findGroups(
  host: Host,
  wishes: readonly GroupWish[],
): Promise<ReleaseGroup[]> {
  const { account } = services.agent
  const { stdout } = await host.run('id', ['-G', account])
  const own = stdout.split(/\s+/).filter(Boolean).map(Number)
  const mistakes: string[] = []
  const groups: ReleaseGroup[] = []
  for (const { app, root, group } of wishes) {
    const gid = group === null ? null : await groupIdOf(host, group)
    if (gid === undefined) mistakes.push(`apps.${app}.group: this host has no group "${group}"`)
    else if (gid !== null && !own.includes(gid)) {
      mistakes.push(
        `apps.${app}.group: ${account} is not in the group "${group}"; ` +
          `\`usermod --append --groups ${group} ${account}\` lets it in`,
      )
    } else groups.push({ root, name: group, gid })
  }
  if (mistakes.length === 0) return groups
  throw new LockstepError('bad-configuration', mistakes.join('\n'), {
    hint: 'Correct this and install again. No directory was changed.',
    details: { mistakes },
  })
}

/** A group that is not wished any more is taken back; what was built with it keeps it. */
export async function passGroupsOn(
  host: Host,
  groups: readonly ReleaseGroup[],
  account: NamedOwner,
  progress: Progress,
): Promise<void> {
  for (const { root, name, gid } of groups) {
    const path = join(root, '.lockstep')
    const found = await unlessMissing(lstat(at(host, path)))
    const hasBit = found !== undefined && (found.mode & 0o2000) !== 0
    if (gid === null && !hasBit) continue
    const owner = { uid: account.uid, gid: gid ?? account.gid }
    const change = await ensureDirectory(at(host, path), gid === null ? plain : handingOn, owner)
    if (change === 'unchanged') continue
    progress.hasChanged = true
    progress.steps.push(`new releases in ${root} get the group ${name ?? account.name}`)
  }
}

/** Undefined where there is none of this name. */
async function groupIdOf(host: Host, name: string): Promise<number | undefined> {
  const { exitCode, stdout } = await host.run('getent', ['group', name])
  const gid = Number(stdout.split(':')[2] || Number.NaN)
  return exitCode === 0 && Number.isInteger(gid) ? gid : undefined
}
