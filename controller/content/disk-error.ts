// Turns what the operating system said about the data directory into an error of the project.

import { LockstepError, systemCodeOf } from '#shared/errors.ts'

/**
 * `no-space` for ENOSPC and EDQUOT, else `disk-error`; what is not the operating system's comes back
 * as it is.
 * @param doing what was being done, as the beginning of a sentence
 */
export function asDiskError(error: unknown, doing: string): unknown {
  const code = systemCodeOf(error)
  if (code === undefined || !(error instanceof Error) || !('syscall' in error)) return error
  const isFull = code === 'ENOSPC' || code === 'EDQUOT'
  return new LockstepError(isFull ? 'no-space' : 'disk-error', `${doing}: ${error.message}`, {
    hint: isFull
      ? 'Free space or inodes under the data directory of the controller.'
      : 'See the log of the controller and of the kernel.',
    details: { systemCode: code },
    cause: error,
  })
}

/** Awaits `action`; what the operating system refuses is thrown as `asDiskError` says it. */
export async function withDiskErrors<Value>(
  doing: string,
  action: () => Promise<Value>,
): Promise<Value> {
  try {
    return await action()
  } catch (error) {
    throw asDiskError(error, doing)
  }
}
