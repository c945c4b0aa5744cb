// What a record says of a version: lstat(2) of every entry of its plan, and a last look that each
// is what it should be.

import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import { typeOf } from '../attest/quick-attest.ts'
import type { RecordedEntry } from '../attest/record.ts'
import type { BuildPlan } from './build-plan.ts'
import { LockstepError } from '#shared/errors.ts'
import type { ManifestEntry } from '#shared/manifest.ts'

/**
 * Mode of a version's own directory, which is in no manifest: with a group of its own the release is
 * for that and nobody else. Only where the directory has that group, or nobody could read it at all.
 */
export function topModeOf(top: string, groupId: number | null): number {
  return groupId !== null && lstatSync(top).gid === groupId ? 0o750 : 0o755
}

/**
 * @param groupId that every entry has to have; null: no matter
 * @throws LockstepError `stage-failed` when an entry is not what the plan says
 */
export function recordOf(
  top: string,
  plan: BuildPlan,
  topMode: number,
  groupId: number | null,
): RecordedEntry[] {
  const root: ManifestEntry = { type: 'directory', path: '', mode: topMode }
  const entries: ManifestEntry[] = [root, ...plan.directories, ...plan.files, ...plan.links]
  return entries.map((entry) => recordedEntry(top, entry, groupId))
}

function recordedEntry(top: string, entry: ManifestEntry, groupId: number | null): RecordedEntry {
  const stats = lstatSync(join(top, entry.path))
  const base = {
    path: entry.path,
    mode: stats.mode & 0o7777,
    mtimeMs: stats.mtimeMs,
    inode: stats.ino,
  }
  const isRight =
    typeOf(stats) === entry.type &&
    (groupId === null || stats.gid === groupId) &&
    (entry.type === 'link' || base.mode === entry.mode) &&
    (entry.type !== 'file' || stats.size === entry.sizeBytes)
  if (!isRight) {
    throw new LockstepError('stage-failed', `${entry.path} changed while the release was staged`, {
      hint: 'Nothing but the agent may write below .lockstep/.',
      details: { path: join(top, entry.path) },
    })
  }
  if (entry.type === 'directory') return { type: 'directory', ...base }
  if (entry.type === 'link') return { type: 'link', ...base, target: entry.target }
  return { type: 'file', ...base, sizeBytes: entry.sizeBytes, sha256: entry.sha256 }
}
