// Makes everything written so far to one file system durable, in one call for any number of files.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { LockstepError } from '#shared/errors.ts'

/**
 * syncfs(2) by way of sync(1) of coreutils, since Node has no call for it. It reports write errors
 * that happened since the last call; they must not be retried, the pages may be gone.
 * @throws LockstepError `disk-error`.
 */
export async function syncFileSystem(directory: string): Promise<void> {
  const child = spawn('sync', ['-f', directory], { stdio: ['ignore', 'ignore', 'pipe'] })
  const said: Buffer[] = []
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk))
  const [exitCode] = await once(child, 'close').catch((error: unknown) => {
    throw failed('sync could not be started', error)
  })
  if (exitCode !== 0) throw failed(`sync -f failed: ${Buffer.concat(said).toString().trim()}`)
}

function failed(message: string, cause?: unknown): LockstepError {
  return new LockstepError('disk-error', message, {
    hint: 'The controller needs sync(1) of coreutils; see the log of the kernel for disk errors.',
    cause,
  })
}
