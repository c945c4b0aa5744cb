// The question that clean-up asks before it removes anything: who uses these directories? "Nobody"
// is an answer only from somebody who saw every process; anything else is that it is not known.

import { findUsage, type Usage, type User } from './in-use.ts'
import { systemCodeOf } from '#shared/errors.ts'

export type UsageVerdict =
  /** Those that are in use; nobody uses the others. */
  | { readonly kind: 'known'; readonly users: ReadonlyMap<string, User> }
  | { readonly kind: 'unknown'; readonly reason: string }

/** @param directories absolute real paths. Never rejects for what the world does. */
export type AskWhoUses = (directories: readonly string[]) => Promise<UsageVerdict>

/** Asks the kernel as this process's user. */
export async function whoUses(
  directories: readonly string[],
  procfs = '/proc',
): Promise<UsageVerdict> {
  try {
    return verdictOf(await findUsage(directories, procfs))
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    return { kind: 'unknown', reason: `${procfs} cannot be read (${code})` }
  }
}

export function verdictOf({ users, unseenCount, hidesProcesses }: Usage): UsageVerdict {
  if (process.geteuid?.() !== 0 && hidesProcesses) {
    return { kind: 'unknown', reason: 'processes of other users are hidden from this user' }
  }
  if (unseenCount === 0) return { kind: 'known', users }
  const processes = unseenCount === 1 ? 'one process does' : `${unseenCount} processes do`
  return { kind: 'unknown', reason: `${processes} not let this user look at what they use` }
}
