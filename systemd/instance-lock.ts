// One process per directory: a lock that the kernel lets go of when the process dies, however it
// dies. An abstract socket (unix(7)) named for the directory; there is no file to be left behind.

import { createHash } from 'node:crypto'
import { mkdirSync, realpathSync, statSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { dirname } from 'node:path'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'

export interface InstanceLock {
  release(): void
}

/**
 * @param what for the message: "state directory" or "data directory"
 * @throws LockstepError `already-running` when another process holds the directory; `disk-error`
 *   when there is none and none can be made
 */
export async function lockDirectory(directory: string, what: string): Promise<InstanceLock> {
  const name = createHash('sha256').update(ownDirectory(directory, what)).digest('hex').slice(0, 32)
  const server = createServer((socket) => socket.destroy())
  const { promise, resolve, reject } = Promise.withResolvers<Server>()
  server.once('error', (error) => {
    if (systemCodeOf(error) !== 'EADDRINUSE') return reject(error)
    reject(
      new LockstepError('already-running', `another process uses the ${what} ${directory}`, {
        hint: 'Stop it first, or give this one a directory of its own.',
      }),
    )
  })
  server.listen(`\0lockstep-${name}`, () => resolve(server))
  const held = await promise
  held.unref()
  return { release: () => void held.close() }
}

/** Its real path; nobody else may look into one that is made here. */
function ownDirectory(directory: string, what: string): string {
  try {
    makeDirectory(directory)
    return realpathSync(directory)
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    throw new LockstepError('disk-error', `the ${what} ${directory} cannot be used (${code})`, {
      hint: 'Choose a directory that this user may write to.',
      cause: error,
    })
  }
}

/** Level by level: Node's own recursion never ends where nothing can be made, as below /proc. */
function makeDirectory(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return
  const parent = dirname(path)
  if (parent !== path) makeDirectory(parent)
  mkdirSync(path, { mode: 0o700 })
}
