// Whether the agent's user can work in an app's root, and handing it over. Only directories that
// Lockstep itself changes are looked at: what the app or another tool owns stays theirs.

import { closeSync, constants, fchownSync, lstatSync, openSync, type Stats } from 'node:fs'
import type { AppLayout } from '../layout/app-layout.ts'

export interface Account {
  readonly uid: number
  readonly gid: number
}

/** Where the agent makes, renames or removes names. */
export function workplaces(layout: AppLayout): string[] {
  const { root, versions, shared, lockstep, trash, manifests, records } = layout
  return [root, versions, shared, lockstep, trash, manifests, records]
}

/** Those that the account may not write in; by user and primary group, as far as modes say. */
export function notWritable(layout: AppLayout, account: Account): string[] {
  if (account.uid === 0) return []
  return workplaces(layout).filter((path) => {
    const stats = lstatSync(path, { throwIfNoEntry: false })
    return stats !== undefined && !mayWrite(stats, account)
  })
}

/**
 * Hands directories over, themselves and not what is in them.
 * @throws the system's errors; ELOOP or ENOTDIR for what is no directory: an owner of the one above
 *   must not have root hand over something else
 */
export function handOver(paths: readonly string[], { uid, gid }: Account): void {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW
  for (const path of paths) {
    const descriptor = openSync(path, flags)
    try {
      fchownSync(descriptor, uid, gid)
    } finally {
      closeSync(descriptor)
    }
  }
}

function mayWrite({ mode, uid, gid }: Stats, account: Account): boolean {
  const needed = 0o3
  if (uid === account.uid) return ((mode >> 6) & needed) === needed
  if (gid === account.gid) return ((mode >> 3) & needed) === needed
  return (mode & needed) === needed
}
