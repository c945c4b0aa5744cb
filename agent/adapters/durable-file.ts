// Small files that are whole or not there, after a power loss too: temporary, fsync, rename, fsync
// of the directory. Owns no format.

import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fchmodSync,
  fsyncSync,
  openSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { systemCodeOf } from '#shared/errors.ts'

const createFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

/** Beginning of the names of files that are being written; one left behind may be removed. */
export const temporaryPrefix = '.new-'

/** Makes the names in a directory durable: fsync(2), "calling fsync() does not ensure … entry". */
export function syncDirectory(path: string): void {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/** Replaces `path` by a file with this content and mode, durably. Blocks the calling thread. */
export function writeDurablySync(path: string, content: string | Uint8Array, mode: number): void {
  const temporary = temporaryPathOf(path)
  const descriptor = openSync(temporary, createFlags, mode)
  try {
    try {
      fchmodSync(descriptor, mode)
      writeFileSync(descriptor, content)
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
    renameSync(temporary, path)
  } catch (error) {
    discardFile(temporary)
    throw error
  }
  syncDirectory(dirname(path))
}

/** The same without blocking the thread. Two writers of one path at a time are the caller's bug. */
export async function writeDurably(path: string, content: string, mode: number): Promise<void> {
  const temporary = temporaryPathOf(path)
  const file = await open(temporary, createFlags, mode)
  try {
    try {
      await file.chmod(mode)
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    discardFile(temporary)
    throw error
  }
  const directory = await open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** Removes a file after another failure, which must be the one that is heard of. */
export function discardFile(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    // What stays is found by its name at the next start.
    if (systemCodeOf(error) === undefined) throw error
  }
}

function temporaryPathOf(path: string): string {
  const random = randomBytes(6).toString('hex')
  return join(dirname(path), `${temporaryPrefix}${basename(path)}-${random}`)
}
