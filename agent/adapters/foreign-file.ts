// Opens what an app may have put in its place: no link of a stranger's is followed, no named pipe waited
// for, and no directory left between one look and the next. open(2), proc_pid_fd(5).

import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { systemCodeOf } from '#shared/errors.ts'

/** Of Linux on x64 and arm64, and not among Node's: a handle that asks for no permission. */
const pathOnly = 0o10000000
const linksMax = 8

/**
 * Opens a regular file for reading; the caller closes it. A link is followed where root or this user
 * made it, as the kernel's protected_symlinks judges (proc_sys_fs(5)).
 * @returns null for what is no file, and for a stranger's link
 * @throws the system's errors
 */
export function openForeignFile(path: string): number | null {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  for (let at = path, links = 0; links < linksMax; links += 1) {
    try {
      const descriptor = openSync(at, flags)
      if (fstatSync(descriptor).isFile()) return descriptor
      closeSync(descriptor)
      return null
    } catch (error) {
      if (systemCodeOf(error) !== 'ELOOP') throw error
    }
    if (!isTrusted(lstatSync(at).uid)) return null
    at = resolve(dirname(at), readlinkSync(at))
  }
  return null
}

/** Root and this process: whose links are followed. */
export function isTrusted(uid: number): boolean {
  return uid === 0 || uid === process.geteuid?.()
}

/**
 * A directory by itself, not by its name: what is done through `path` happens in the very directory
 * that was opened, whatever is put in its place meanwhile; programs that are started find it too.
 * Elsewhere than on Linux it is the name.
 * @throws the system's errors; ELOOP or ENOTDIR for what is no directory
 */
export function holdDirectory(path: string | Buffer): { path: string | Buffer; close: () => void } {
  if (process.platform !== 'linux') return { path, close: () => undefined }
  const flags = pathOnly | constants.O_DIRECTORY | constants.O_NOFOLLOW
  const descriptor = openSync(path, flags)
  return { path: `/proc/${process.pid}/fd/${descriptor}`, close: () => closeSync(descriptor) }
}
