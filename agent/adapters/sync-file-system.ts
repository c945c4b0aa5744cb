// Makes everything written to a file system durable at once. Node has no syncfs(2), coreutils has.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { LockstepError } from '#shared/errors.ts'

const run = promisify(execFile)

/**
 * One `sync -f`: for thousands of files a hundredth of the time of an fsync for each.
 * @throws LockstepError `disk-error`: then the pages that failed may be gone from memory, and a
 *   second try could succeed without them, so what was written has to be thrown away. fsync(2).
 */
export async function syncFileSystem(path: string): Promise<void> {
  try {
    await run('sync', ['-f', path])
  } catch (error) {
    throw new LockstepError('disk-error', `${path} could not be made durable by "sync -f"`, {
      hint: 'See the kernel’s log for errors of the disk; `sync` of coreutils must be installed.',
      details: { path, said: error instanceof Error ? error.message : String(error) },
      cause: error,
    })
  }
}
