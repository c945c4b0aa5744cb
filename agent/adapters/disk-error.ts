// Turns what the operating system said into an error of the project. Decides no retry.

import { LockstepError, systemCodeOf } from '#shared/errors.ts'

interface SystemFacts {
  readonly code: string
  readonly syscall: string | undefined
  readonly path: string | undefined
}

const hints: Readonly<Record<string, string>> = {
  ENOSPC: 'Free space or inodes on that file system, or keep fewer releases.',
  EDQUOT: 'Raise the quota of the agent’s user, or keep fewer releases.',
  EACCES: 'Give the agent’s user the permission, or change the owner of the directory.',
  EPERM: 'Give the agent’s user the permission, or change the owner of the directory.',
  EROFS: 'The file system is mounted read-only, or the unit’s ReadWritePaths= leaves it out.',
  EXDEV: 'versions/ and .lockstep/ must be on one file system.',
  EIO: 'The disk fails; see the kernel’s log.',
}

/**
 * `no-space` for ENOSPC and EDQUOT, else `disk-error`, with path and system call; an error that is
 * not the operating system's comes back as it is.
 * @param doing what was being done, as the beginning of a sentence: "Activating 0.0.12"
 * @param path what it was done to, where the system call had a descriptor only
 */
export function asDiskError(error: unknown, doing: string, path?: string): Error {
  const facts = systemFactsOf(error, path)
  if (facts === null) return error instanceof Error ? error : new Error(String(error))
  const isFull = facts.code === 'ENOSPC' || facts.code === 'EDQUOT'
  const where = facts.path === undefined ? '' : ` on ${facts.path}`
  const what = facts.syscall === undefined ? facts.code : `${facts.code} from ${facts.syscall}`
  return new LockstepError(isFull ? 'no-space' : 'disk-error', `${doing}: ${what}${where}`, {
    hint: hints[facts.code] ?? 'See the agent’s log and the kernel’s log on the host.',
    details: { ...facts },
    cause: error,
  })
}

/** Calls `action`; what the operating system refuses is thrown as `asDiskError` says it. */
export function withDiskErrors<Value>(doing: string, action: () => Value): Value {
  try {
    return action()
  } catch (error) {
    throw asDiskError(error, doing)
  }
}

function systemFactsOf(error: unknown, path: string | undefined): SystemFacts | null {
  const code = systemCodeOf(error)
  if (code === undefined || error instanceof LockstepError) return null
  // Node's own argument errors bear a code too, but never the name of a system call.
  if (!(error instanceof Error) || !('syscall' in error)) return null
  return {
    code,
    syscall: typeof error.syscall === 'string' ? error.syscall : undefined,
    path: path ?? ('path' in error && typeof error.path === 'string' ? error.path : undefined),
  }
}
