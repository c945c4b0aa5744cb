// Judges the place of one app on the disk: its mount, its layout, room and rights. Pure; disk-facts.ts
// reads what is judged.

import { bytesText } from './quantities.ts'
import type { Mount } from '../layout/mounts.ts'
import { fail, type Judgement, ok, unknown, warn } from '#shared/finding.ts'
import { limits } from '#shared/limits.ts'

/** Clients see a rename late or not at all, and a lost server stops every reader (nfs(5)). */
const networkTypes =
  /^(?:nfs4?|cifs|smb3|smbfs|9p|afs|ceph|coda|glusterfs|lustre|beegfs|fuse\.(?!fuseblk).*)$/
/** Without symbolic links or without modes. */
const poorTypes = /^(?:vfat|msdos|exfat|ntfs3?|fuseblk|iso9660)$/
const fleetingTypes = /^(?:tmpfs|ramfs)$/

/** @param mount of the app's root; null where it could not be found out */
export function judgeMount(mount: Mount | null, isReadOnly: boolean): Judgement {
  if (mount === null) return unknown('its mount could not be found', 'Look at `findmnt -T ROOT`.')
  const place = `${mount.type} at ${mount.point}`
  if (isReadOnly) return fail(`${place} is read-only`, 'Mount it writable: `mount -o remount,rw`.')
  if (poorTypes.test(mount.type)) {
    return fail(
      `${place} keeps no symbolic links or no modes`,
      'Move the root to a Linux file system such as ext4 or xfs.',
    )
  }
  if (networkTypes.test(mount.type)) {
    return warn(
      `${place} is a network file system, which is not supported`,
      'Readers may see an old `current` for a while: move the root to a disk of the host.',
    )
  }
  if (mount.type === 'overlay') {
    return warn(
      `${place}: what is written there goes when the container does`,
      'Mount a volume at the app’s root, not at `current`: a mount resolves the link only once.',
    )
  }
  if (fleetingTypes.test(mount.type)) {
    return warn(
      `${place} is empty after every start of the machine`,
      'Move the root to a disk, or every start begins with staging.',
    )
  }
  return ok(place)
}

export interface LayoutFacts {
  /** Device numbers of what is there. */
  readonly root: number
  readonly versions: number | null
  readonly lockstep: number | null
}

/** A release gets to its place by rename(2), which does not leave a file system. */
export function judgeLayout({ root, versions, lockstep }: LayoutFacts): Judgement {
  const apart = [
    ...(versions !== null && versions !== root ? ['versions/'] : []),
    ...(lockstep !== null && lockstep !== root ? ['.lockstep/'] : []),
  ]
  if (apart.length === 0) return ok('versions/, .lockstep/ and current are on one file system')
  return fail(
    `${apart.join(' and ')} of the root ${apart.length === 1 ? 'is' : 'are'} on another file system`,
    'Mount the app’s root as a whole, with nothing mounted or linked inside it.',
  )
}

export interface SpaceFacts {
  readonly freeBytes: number
  /** Null where the file system makes them as it needs them. */
  readonly freeInodes: number | null
  /** Of the release that `current` leads to; null where there is none. */
  readonly release: { readonly bytes: number; readonly entries: number } | null
}

/** Whether another release like the present one fits, and two. */
export function judgeSpace({ freeBytes, freeInodes, release }: SpaceFacts): Judgement {
  const needBytes = (release?.bytes ?? 0) + limits.spaceMarginBytes
  const needInodes = (release?.entries ?? 0) + limits.inodeMargin
  const inodes = freeInodes ?? Number.POSITIVE_INFINITY
  const found =
    `${bytesText(freeBytes)} and ${freeInodes ?? 'any number of'} inodes are free` +
    (release === null
      ? ''
      : `; the present release has ${bytesText(release.bytes)} in ${release.entries} entries`)
  const remedy = 'Free space on that file system, or lower `keep` in agent.toml.'
  if (freeBytes < needBytes || inodes < needInodes) return fail(found, remedy)
  if (freeBytes < 2 * needBytes || inodes < 2 * needInodes) return warn(found, remedy)
  return ok(found)
}

export interface Owned {
  readonly path: string
  readonly uid: number
  readonly gid: number
  readonly mode: number
}

export interface AgentUser {
  readonly name: string
  readonly uid: number
  readonly gids: readonly number[]
}

export interface RightsFacts {
  readonly user: AgentUser
  /** The directories from `/` down to the root's parent. */
  readonly above: readonly Owned[]
  /** The root and what the agent writes to below it, as far as it is there. */
  readonly own: readonly Owned[]
  /** What the service's sandbox opens; null where it closes nothing. */
  readonly writablePaths: readonly string[] | null
}

/** By owner and mode: what an access list adds is not seen. */
export function judgeRights({ user, above, own, writablePaths }: RightsFacts): Judgement {
  const closed = above.find((directory) => !allows(directory, user, 0o1))
  if (closed !== undefined) {
    return fail(
      `${user.name} may not pass ${closed.path} (mode ${modeText(closed)})`,
      `Let it through: chmod o+x ${closed.path}`,
    )
  }
  const foreign = own.find((directory) => !allows(directory, user, 0o7))
  if (foreign !== undefined) {
    return fail(
      `${user.name} may not write to ${foreign.path} (owner ${foreign.uid}, mode ${modeText(foreign)})`,
      `Give it to the agent: chown ${user.name}: ${foreign.path}`,
    )
  }
  const [root] = own
  if (root !== undefined && writablePaths !== null && !isOpen(root.path, writablePaths)) {
    return fail(
      `the service’s sandbox keeps ${root.path} read-only`,
      'Run `lockstep agent install` again: it opens every root of agent.toml.',
    )
  }
  const open = own.find(({ mode }) => (mode & 0o022) !== 0)
  if (open !== undefined) {
    return warn(
      `${open.path} may be written by others too (mode ${modeText(open)})`,
      `Close it: chmod go-w ${open.path}; what an app writes belongs in shared/.`,
    )
  }
  return ok(`${user.name} may write to the root`)
}

function allows(entry: Owned, user: AgentUser, bits: number): boolean {
  if (user.uid === 0) return true
  const shift = entry.uid === user.uid ? 6 : user.gids.includes(entry.gid) ? 3 : 0
  return ((entry.mode >> shift) & bits) === bits
}

function modeText({ mode }: Owned): string {
  return `0${(mode & 0o7777).toString(8)}`
}

function isOpen(root: string, writablePaths: readonly string[]): boolean {
  return writablePaths.some((path) => root === path || root.startsWith(`${path}/`))
}
