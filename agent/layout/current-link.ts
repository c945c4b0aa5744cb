// The link `current`: what it says, and the one way to change it. rename(2) replaces the name at
// once, so a reader sees the old release or the new one. Everything here is synchronous: nothing
// may stand between the instant to activate and the rename. ARCHITECTURE.md, "The swap".

import { randomBytes } from 'node:crypto'
import {
  lstatSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { asDiskError, withDiskErrors } from '../adapters/disk-error.ts'
import { discardFile, syncDirectory } from '../adapters/durable-file.ts'
import { type AppLayout, versionPath } from './app-layout.ts'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { patterns } from '#shared/ids.ts'

export type CurrentLink =
  | { readonly kind: 'none' }
  /** It resolves to `versions/<version>`, whole or not. `link` is its text. */
  | { readonly kind: 'release'; readonly version: string; readonly link: string }
  /** It points elsewhere; `resolves` says whether to a directory. */
  | { readonly kind: 'foreign'; readonly link: string; readonly resolves: boolean }
  /** There is a real directory or file, which is never replaced. */
  | { readonly kind: 'directory' }

export interface Swap {
  readonly link: string
  /** What the link was just before. */
  readonly replaced: CurrentLink
  /** `performance.now()` just before and just after rename(2): the swap happened between them. */
  readonly renameStartedMs: number
  readonly renameEndedMs: number
}

const versionPattern = new RegExp(patterns.version)
const temporaryPattern = /^\.lockstep-current-[0-9a-f]{16}$/

/** @throws LockstepError `disk-error` when the root cannot be looked into. */
export function observeCurrent(layout: AppLayout): CurrentLink {
  return withDiskErrors(`Looking at ${layout.current}`, () => {
    const stats = lstatSync(layout.current, { throwIfNoEntry: false })
    if (stats === undefined) return { kind: 'none' }
    if (!stats.isSymbolicLink()) return { kind: 'directory' }
    const link = readlinkSync(layout.current)
    const target = realDirectory(layout.current)
    if (target === null) return { kind: 'foreign', link, resolves: false }
    const version = basename(target)
    const isVersion = versionPattern.test(version)
    return isVersion && dirname(target) === realDirectory(layout.versions)
      ? { kind: 'release', version, link }
      : { kind: 'foreign', link, resolves: true }
  })
}

/**
 * Whether `current` leads to this version or to something in it, however the link is spelled: a
 * version under a foreign link runs just as well, and is not removed.
 * @throws LockstepError `disk-error` when that cannot be told.
 */
export function leadsInto(layout: AppLayout, version: string): boolean {
  return withDiskErrors(`Looking at ${layout.current}`, () => {
    const target = realPath(layout.current)
    const top = realPath(versionPath(layout, version))
    return target !== null && top !== null && `${target}/`.startsWith(`${top}/`)
  })
}

/**
 * Points `current` to `versions/<version>` by one rename, and makes it durable.
 * @throws LockstepError `current-is-directory`; `tree-drifted` when the version is not there;
 *   `activate-failed` when the system refuses (`details.renamed` says whether it happened).
 */
export function activateVersion(layout: AppLayout, version: string): Swap {
  const path = versionPath(layout, version)
  if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new LockstepError('tree-drifted', `${path} is not there, so nothing was activated`, {
      hint: 'The agent stages the release again by itself.',
      details: { path },
    })
  }
  return swap(layout, `versions/${version}`)
}

/**
 * Points `current` back to what it was before Lockstep, given as the text of that link.
 * @throws LockstepError `activate-failed` when that is no directory any more; `current` stays.
 */
export function goBackTo(layout: AppLayout, link: string): Swap {
  if (realDirectory(resolve(layout.root, link)) === null) {
    throw new LockstepError('activate-failed', `${link} is no directory any more`, {
      hint: `Bring ${resolve(layout.root, link)} back, or deploy a release.`,
      details: { link, renamed: false },
    })
  }
  return swap(layout, link)
}

/**
 * Tries what a swap needs of the root, before anybody is promised one.
 * @throws LockstepError `disk-error`, `no-space` when the agent cannot put a link there.
 */
export function checkSwap(layout: AppLayout): void {
  withDiskErrors(`Trying whether ${layout.current} could be replaced`, () => {
    const temporary = currentTemporaryPath(layout)
    symlinkSync('versions', temporary)
    unlinkSync(temporary)
  })
}

/** Removes what a crash between symlink(2) and rename(2) left behind. For the start only. */
export function removeStaleLinks(layout: AppLayout): void {
  withDiskErrors(`Cleaning up ${layout.root}`, () => {
    for (const entry of readdirSync(layout.root, { withFileTypes: true })) {
      if (!entry.isSymbolicLink() || !temporaryPattern.test(entry.name)) continue
      unlinkSync(join(layout.root, entry.name))
    }
  })
}

/** Removes a link at `current`, durably: back to before there was one. @throws as `goBackTo` */
export function removeCurrent(layout: AppLayout): void {
  if (observeCurrent(layout).kind === 'directory') throw currentIsDirectory(layout, undefined)
  withDiskErrors(`Removing ${layout.current}`, () => {
    unlinkSync(layout.current)
    syncDirectory(layout.root)
  })
}

function swap(layout: AppLayout, link: string): Swap {
  const replaced = observeCurrent(layout)
  if (replaced.kind === 'directory') throw currentIsDirectory(layout, undefined)
  const temporary = currentTemporaryPath(layout)
  try {
    symlinkSync(link, temporary)
  } catch (error) {
    throw activateFailed(layout, link, error, false)
  }
  const renameStartedMs = performance.now()
  try {
    renameSync(temporary, layout.current)
  } catch (error) {
    discardFile(temporary)
    // The kernel refuses to put a link over a directory that came after the look above.
    if (systemCodeOf(error) === 'EISDIR') throw currentIsDirectory(layout, error)
    throw activateFailed(layout, link, error, false)
  }
  const renameEndedMs = performance.now()
  try {
    syncDirectory(layout.root)
  } catch (error) {
    throw activateFailed(layout, link, error, true)
  }
  return { link, replaced, renameStartedMs, renameEndedMs }
}

/** Where a link is made before it becomes `current`. A crash's are found by their names. */
export function currentTemporaryPath(layout: AppLayout): string {
  return join(layout.root, `.lockstep-current-${randomBytes(8).toString('hex')}`)
}

/** Null for what is not there, or leads nowhere. */
function realPath(path: string): string | null {
  try {
    return realpathSync(path)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(systemCodeOf(error) ?? '')) return null
    throw error
  }
}

/** The real path of a directory; null for anything else, also for what cannot be reached. */
function realDirectory(path: string): string | null {
  try {
    const real = realpathSync(path)
    return statSync(real).isDirectory() ? real : null
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error
    return null
  }
}

function currentIsDirectory(layout: AppLayout, cause: unknown): LockstepError {
  return new LockstepError('current-is-directory', `${layout.current} is no symbolic link`, {
    hint: 'Run `lockstep adopt` on this host: it moves the directory and puts a link in its place.',
    details: { path: layout.current },
    cause,
  })
}

function activateFailed(layout: AppLayout, link: string, cause: unknown, renamed: boolean): Error {
  const error = asDiskError(cause, `Pointing ${layout.current} to ${link}`)
  if (!(error instanceof LockstepError)) return error
  const { message, hint, details } = error
  return new LockstepError('activate-failed', message, {
    ...(hint === undefined ? {} : { hint }),
    details: { ...details, renamed },
    cause,
  })
}
