// What a host builds of a release: the manifest's entries, but for those at or below a shared path,
// which a link to `shared/` replaces. Pure. ARCHITECTURE.md, "Shared paths".

import { dirname, relative } from 'node:path/posix'
import type { SharedPath } from '../config.ts'
import { LockstepError } from '#shared/errors.ts'
import type {
  ManifestDirectory,
  ManifestEntry,
  ManifestFile,
  ManifestLink,
} from '#shared/manifest.ts'

export interface BuildPlan {
  /** A parent before its children; those of the manifest and those that shared paths need. */
  readonly directories: readonly ManifestDirectory[]
  readonly files: readonly ManifestFile[]
  /** The release's own links and those to `shared/`. */
  readonly links: readonly ManifestLink[]
  /** What fills a shared directory that the host does not have yet. */
  readonly seed: {
    readonly directories: readonly ManifestDirectory[]
    readonly files: readonly ManifestFile[]
    readonly links: readonly ManifestLink[]
  }
  /** Paths of the manifest that this host leaves out. */
  readonly leftOut: readonly string[]
}

/** Mode of a directory that is in no manifest. */
const impliedMode = 0o755

/**
 * @param missing shared directories that are not below `shared/` yet, and so are seeded
 * @throws LockstepError `bad-configuration` when a shared path lies below a file of the release.
 */
export function planBuild(
  entries: readonly ManifestEntry[],
  sharedPaths: readonly SharedPath[],
  missing: ReadonlySet<string>,
): BuildPlan {
  const plan = emptyPlan()
  const seeded = new Set(
    entries.filter(({ type, path }) => type === 'directory' && missing.has(path)).map(pathOf),
  )
  for (const entry of entries) {
    const shared = sharedPaths.find(({ path }) => isAtOrBelow(entry.path, path))
    if (shared === undefined) put(plan, entry)
    else {
      plan.leftOut.push(entry.path)
      // What is no directory in the release is no content for one.
      if (seeded.has(shared.path)) put(plan.seed, entry)
    }
  }
  for (const { path } of sharedPaths) linkShared(plan, path, entries)
  for (const path of seeded) addParents(plan.seed, path)
  for (const { directories } of [plan, plan.seed]) {
    directories.sort((a, b) => (a.path < b.path ? -1 : 1))
  }
  return plan
}

/** Whether `path` is `top` or lies below it. */
export function isAtOrBelow(path: string, top: string): boolean {
  return path === top || path.startsWith(`${top}/`)
}

/** What the link at `path` in a version says: relative, so that the root can be moved or mounted. */
export function sharedTargetOf(path: string): string {
  return relative(`/versions/version/${dirname(path)}`, `/shared/${path}`)
}

type Places = {
  readonly directories: ManifestDirectory[]
  readonly files: ManifestFile[]
  readonly links: ManifestLink[]
}

function emptyPlan(): Places & { readonly seed: Places; readonly leftOut: string[] } {
  return {
    directories: [],
    files: [],
    links: [],
    seed: { directories: [], files: [], links: [] },
    leftOut: [],
  }
}

function put(places: Places, entry: ManifestEntry): void {
  if (entry.type === 'directory') places.directories.push(entry)
  else if (entry.type === 'file') places.files.push(entry)
  else places.links.push(entry)
}

function linkShared(plan: Places, path: string, entries: readonly ManifestEntry[]): void {
  const parents = parentsOf(path)
  const blocking = entries.find(
    (entry) => entry.type !== 'directory' && parents.includes(entry.path),
  )
  if (blocking !== undefined) {
    throw new LockstepError(
      'bad-configuration',
      `The shared path "${path}" lies below "${blocking.path}", a ${blocking.type} of the release`,
      {
        hint: `Change "shared" in the agent’s configuration, or the release.`,
        details: { sharedPath: path, entry: blocking.path },
      },
    )
  }
  addParents(plan, path)
  plan.links.push({ type: 'link', path, target: sharedTargetOf(path) })
}

/** The directories above `path` that no entry has brought. */
function addParents({ directories }: Places, path: string): void {
  for (const parent of parentsOf(path)) {
    if (directories.some((directory) => directory.path === parent)) continue
    directories.push({ type: 'directory', path: parent, mode: impliedMode })
  }
}

function pathOf({ path }: ManifestEntry): string {
  return path
}

/** `a/b/c` has `a` and `a/b`. */
function parentsOf(path: string): string[] {
  const segments = path.split('/').slice(0, -1)
  return segments.map((_, index) => segments.slice(0, index + 1).join('/'))
}
