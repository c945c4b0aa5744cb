// How the files of releases get their group without the right to give files away: what is made in a
// directory with the set-group-id bit has that directory's group (inode(7)). Only .lockstep/ has the
// bit, where releases are built; what is renamed out of it has lost it and keeps the group.

import { closeSync, constants, fchmodSync, fchownSync, fstatSync, openSync } from 'node:fs'
import { withDiskErrors } from '../adapters/disk-error.ts'
import type { AppLayout } from './app-layout.ts'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'

const setGroupId = 0o2000

/**
 * Sees that what is built below .lockstep/ gets the group. `lockstep agent install` has done it where
 * the agent runs as a service: its sandbox refuses both calls.
 * @throws LockstepError `bad-configuration` where it has to be done and may not, `disk-error`
 */
export function passGroupOn({ lockstep }: Pick<AppLayout, 'lockstep'>, gid: number): void {
  withDiskErrors(`Giving ${lockstep} its group`, () => {
    const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW
    const directory = openSync(lockstep, flags)
    try {
      const found = fstatSync(directory)
      if (found.gid === gid && (found.mode & setGroupId) !== 0) return
      fchownSync(directory, -1, gid)
      fchmodSync(directory, (found.mode & 0o777) | setGroupId)
    } catch (error) {
      if (systemCodeOf(error) !== 'EPERM') throw error
      throw new LockstepError(
        'bad-configuration',
        `${lockstep} does not pass group ${gid} on to what is built in it`,
        {
          hint: 'Run `lockstep agent install`: after a change of `group` root has to set it.',
          cause: error,
        },
      )
    } finally {
      closeSync(directory)
    }
  })
}
