// Whether a release fits on the disk, judged before a byte of it is written: bytes and inodes, on
// the file system that it will really be on. statfs(2).

import { statfsSync } from 'node:fs'
import { LockstepError } from '#shared/errors.ts'

export interface SpaceNeed {
  /** Sizes of the files that will be written; hard links need none. */
  readonly fileBytes: readonly number[]
  /** Directories and symbolic links to create. */
  readonly otherEntries: number
  /** Of the manifest and the record. */
  readonly ownBytes: number
  readonly marginBytes: number
  readonly marginInodes: number
}

/**
 * @param path a directory on the file system in question
 * @throws LockstepError `no-space`, with what is needed and what is there
 */
export function checkFreeSpace(path: string, need: SpaceNeed, purpose: string): void {
  const { bsize, bavail, files, ffree } = statfsSync(path)
  const blocksOf = (bytes: number): number => Math.ceil(bytes / bsize) * bsize
  const neededBytes =
    need.fileBytes.reduce((sum, bytes) => sum + blocksOf(bytes), 0) +
    need.otherEntries * bsize +
    blocksOf(need.ownBytes) +
    need.marginBytes
  const neededInodes = need.fileBytes.length + need.otherEntries + need.marginInodes
  const freeBytes = bavail * bsize
  // File systems that make inodes as they need them (btrfs) count none.
  const freeInodes = files === 0 ? null : ffree
  if (neededBytes <= freeBytes && (freeInodes === null || neededInodes <= freeInodes)) return
  throw new LockstepError(
    'no-space',
    `${purpose} needs ${neededBytes} bytes and ${neededInodes} inodes on ${path}; ` +
      `${freeBytes} bytes and ${freeInodes ?? 'any number of'} inodes are free`,
    {
      hint: 'Free space on that file system, or keep fewer releases ("keep" in the configuration).',
      details: { path, neededBytes, freeBytes, neededInodes, freeInodes },
    },
  )
}
