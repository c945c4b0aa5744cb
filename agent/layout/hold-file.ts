// The file `.lockstep/hold`: there while the host's own operator holds the app to what it runs, for
// the reason that it says. What a hold means is for the activation machine.

import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, rmSync } from 'node:fs'
import { withDiskErrors } from '../adapters/disk-error.ts'
import { syncDirectory, writeDurablySync } from '../adapters/durable-file.ts'
import { type AppLayout, inTheWay } from './app-layout.ts'
import { systemCodeOf } from '#shared/errors.ts'

/** What a hold may say: a sentence or two, with who and when. */
export const holdCharsMax = 500

const readBytes = 4 * holdCharsMax
const unspoken = 'somebody who gave no reason'

/**
 * Why the app is held, on one line; null when it is not. A file that is there and cannot be read
 * holds too: whoever wrote it meant something.
 * @throws LockstepError `disk-error` when not even that can be told
 */
export function readHold(layout: AppLayout): string | null {
  return withDiskErrors('Looking for a hold', () => {
    try {
      const text = readBeginning(layout.hold).replaceAll(/\s+/gu, ' ').trim()
      return text === '' ? unspoken : text.slice(0, holdCharsMax)
    } catch (error) {
      const code = systemCodeOf(error)
      if (code === undefined) throw error
      if (code === 'ENOENT' || code === 'ENOTDIR') return null
      return `${layout.hold} cannot be read (${code})`
    }
  })
}

/**
 * Holds the app; durable when it returns.
 * @param reason at most `holdCharsMax` characters
 * @throws LockstepError `no-space`, `disk-error`
 */
export function writeHold(layout: AppLayout, reason: string): void {
  withDiskErrors('Holding the app', () => {
    checkOwn(layout)
    writeDurablySync(layout.hold, `${reason}\n`, 0o644)
  })
}

/** Ends a hold, durably. @returns whether there was one. @throws LockstepError `disk-error` */
export function removeHold(layout: AppLayout): boolean {
  return withDiskErrors('Ending the hold', () => {
    if (lstatSync(layout.hold, { throwIfNoEntry: false }) === undefined) return false
    checkOwn(layout)
    rmSync(layout.hold)
    syncDirectory(layout.lockstep)
    return true
  })
}

/** Root writes here too, and must not be led elsewhere by a link. */
function checkOwn(layout: AppLayout): void {
  if (!lstatSync(layout.lockstep).isDirectory()) throw inTheWay(layout.lockstep)
}

function readBeginning(path: string): string {
  // Without O_NONBLOCK a named pipe would wait for a writer for ever.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const descriptor = openSync(path, flags)
  try {
    if (!fstatSync(descriptor).isFile()) return ''
    const buffer = Buffer.alloc(readBytes)
    return buffer.toString('utf8', 0, readSync(descriptor, buffer, 0, readBytes, 0))
  } finally {
    closeSync(descriptor)
  }
}
