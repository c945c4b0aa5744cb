// The directories of one app on this host: their names, and that they are there. What `current`
// points to is for current-link.ts; ARCHITECTURE.md, "On a host".

import { chmodSync, lstatSync, mkdirSync, realpathSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { withDiskErrors } from '../adapters/disk-error.ts'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { parseDigest, parseVersion } from '#shared/ids.ts'

export interface AppLayout {
  /** The app's root; everything else is below it. All paths are absolute. */
  readonly root: string
  /** The symbolic link to the release that runs. */
  readonly current: string
  /** Whole releases, `versions/<version>`. */
  readonly versions: string
  /** What outlives releases. */
  readonly shared: string
  /** The agent's own directory, on the same file system as `versions`. */
  readonly lockstep: string
  /** Where releases wait for their deletion. */
  readonly trash: string
  /** Manifests by tree digest. */
  readonly manifests: string
  /** What staging left on the disk, by version: the sign that `versions/<version>` is whole. */
  readonly records: string
  readonly journal: string
  /** There only while the host attests what it was told to run; for load balancers. */
  readonly serving: string
  /** There while the host's own operator holds what runs; its text says why. */
  readonly hold: string
  /** When which release stopped being current, for clean-up. */
  readonly drain: string
  /** What was verified by signed statements here, and the floor below which nothing is let in. */
  readonly trust: string
  /** There while `current` leads to a developer's working directory: what it was before. */
  readonly linked: string
}

export function layoutOf(root: string): AppLayout {
  const lockstep = join(root, '.lockstep')
  return {
    root,
    current: join(root, 'current'),
    versions: join(root, 'versions'),
    shared: join(root, 'shared'),
    lockstep,
    trash: join(lockstep, 'trash'),
    manifests: join(lockstep, 'manifests'),
    records: join(lockstep, 'records'),
    journal: join(lockstep, 'journal.json'),
    serving: join(lockstep, 'serving'),
    hold: join(lockstep, 'hold'),
    drain: join(lockstep, 'drain.json'),
    trust: join(lockstep, 'trust.json'),
    linked: join(lockstep, 'linked.json'),
  }
}

/** @throws LockstepError `bad-name` for what is no version, before it can become a path. */
export function versionPath(layout: AppLayout, version: string): string {
  return join(layout.versions, parseVersion(version))
}

/** @throws LockstepError `bad-name` for what is no version. */
export function recordPath(layout: AppLayout, version: string): string {
  return join(layout.records, parseVersion(version))
}

/** @throws LockstepError `bad-name` for what is no digest. */
export function manifestPath(layout: AppLayout, tree: string): string {
  return join(layout.manifests, parseDigest(tree))
}

/** Where a tree is built before it becomes a version. @throws LockstepError `bad-name`. */
export function stagePath(layout: AppLayout, tree: string): string {
  return join(layout.lockstep, `${stagePrefix}${parseDigest(tree)}`)
}

/** Where a shared directory is filled from a release before it is put into `shared/`. */
export function seedPath(layout: AppLayout, tree: string): string {
  return join(layout.lockstep, `${seedPrefix}${parseDigest(tree)}`)
}

export const stagePrefix = 'stage-'
export const seedPrefix = 'seed-'

/**
 * Creates what is missing. Repeatable; changes nothing that is there.
 * @throws LockstepError `disk-error` when something else is in the way or cannot be created, or
 *   when `versions` is on another file system than `.lockstep`, or elsewhere than in the root.
 */
export function prepareLayout(layout: AppLayout): void {
  withDiskErrors(`Preparing ${layout.root}`, () => {
    ensureDirectory(layout.root, 0o755)
    ensureDirectory(layout.versions, 0o755)
    ensureDirectory(layout.shared, 0o755)
    // Web servers and load balancers look for `serving`, so the directory itself is open.
    ensureDirectory(layout.lockstep, 0o755)
    for (const path of [layout.trash, layout.manifests, layout.records]) {
      ensureDirectory(path, 0o700)
    }
    // What is deleted and replaced in here must not be somebody else's by way of a link.
    for (const path of [layout.lockstep, layout.trash, layout.manifests, layout.records]) {
      if (!lstatSync(path).isDirectory()) throw inTheWay(path)
    }
    checkVersions(layout)
  })
}

/** A release gets there by one rename, and its links to `shared/` are relative. */
function checkVersions({ root, versions, lockstep }: AppLayout): void {
  const problem =
    statSync(versions).dev !== statSync(lockstep).dev
      ? `is on another file system than ${lockstep}`
      : dirname(realpathSync(versions)) !== realpathSync(root)
        ? `leads out of ${root}`
        : null
  if (problem === null) return
  throw new LockstepError('disk-error', `${versions} ${problem}`, {
    hint: 'Mount or link the app’s root as a whole.',
    details: { path: versions },
  })
}

/**
 * Creates a directory, and its parents with mode 0755; leaves what is there as it is. The mode is
 * set apart from mkdir(2), which the umask of a hardened service (0077) would cut.
 * @throws LockstepError `disk-error` when something else is in the way, and the system's errors.
 */
export function ensureDirectory(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode })
    chmodSync(path, mode)
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === 'ENOENT' && dirname(path) !== path) {
      ensureDirectory(dirname(path), 0o755)
      ensureDirectory(path, mode)
    } else if (code !== 'EEXIST') throw error
    else if (!isDirectory(path)) throw inTheWay(path)
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

/** Something else stands where a directory of the agent's own should be. */
export function inTheWay(path: string): LockstepError {
  return new LockstepError('disk-error', `${path} is no directory`, {
    hint: 'Move it away; the agent creates the directory by itself.',
    details: { path },
  })
}
