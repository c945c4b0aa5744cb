// The number of a group that this process is in, by its name: getent(1) asks wherever the host keeps
// its groups. The agent gives files to no other.

import { execFile } from 'node:child_process'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'

/** @throws LockstepError `bad-configuration` for a group that is not there, or is not ours */
export async function ownGroupId(app: string, name: string): Promise<number> {
  const key = `apps.${app}.group`
  const gid = await groupIdOf(name)
  if (gid === null) {
    throw new LockstepError('bad-configuration', `${key}: this host has no group "${name}"`, {
      hint: 'Name one that is there (`getent group`), or leave the key out.',
    })
  }
  const own = [process.getegid?.(), ...(process.getgroups?.() ?? [])]
  if (process.geteuid?.() === 0 || own.includes(gid)) return gid
  throw new LockstepError(
    'bad-configuration',
    `${key}: the agent’s user is not in the group "${name}", and may give it no files`,
    {
      hint:
        `Let it in (\`usermod --append --groups ${name} lockstep\`) and run ` +
        '`lockstep agent install`, or name a group that it is in.',
    },
  )
}

function groupIdOf(name: string): Promise<number | null> {
  const { promise, resolve, reject } = Promise.withResolvers<number | null>()
  const options = { timeout: limits.systemctlTimeoutMs, killSignal: 'SIGKILL' } as const
  execFile('getent', ['group', name], options, (error, stdout) => {
    // What is not there, and a host without getent: either way no group is found.
    if (error !== null && typeof error.code !== 'number' && systemCodeOf(error) === undefined) {
      return reject(error)
    }
    const gid = Number(stdout.split(':')[2] || Number.NaN)
    resolve(error === null && Number.isInteger(gid) ? gid : null)
  })
  return promise
}
