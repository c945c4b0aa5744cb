// The system account that both services run as: looked up, made where it is missing, removed.

import { LockstepError } from '#shared/errors.ts'
import type { Owner } from './durable-file.ts'
import { type Host, installed } from './host.ts'
import { extendRecord } from './install-record.ts'

export interface Account extends Owner {
  readonly origin: 'created' | 'found'
}

/**
 * Makes the account where it is missing. It has no password, no home and no shell.
 * @throws LockstepError `install-failed`
 */
export async function ensureAccount(host: Host): Promise<Account> {
  const found = await lookUpAccount(host)
  if (found !== undefined) return { ...found, origin: 'found' }
  const hasGroup = (await host.run('getent', ['group', installed.account])).exitCode === 0
  const { exitCode, stderr } = await host.run('useradd', [
    '--system',
    ...(hasGroup ? ['--gid', installed.account] : ['--user-group']),
    '--no-create-home',
    '--home-dir',
    '/nonexistent',
    '--shell',
    '/usr/sbin/nologin',
    '--comment',
    'Lockstep',
    installed.account,
  ])
  const made = await lookUpAccount(host)
  if (made === undefined) {
    throw new LockstepError(
      'install-failed',
      `useradd could not make the account "${installed.account}" (${exitCode}): ${stderr.trim()}`,
      { hint: `Make a system account "${installed.account}" yourself, then install again.` },
    )
  }
  await extendRecord(host, { accountCreated: true })
  return { ...made, origin: 'created' }
}

/** The account's ids; undefined where there is none of this name. */
export async function lookUpAccount(host: Host): Promise<Owner | undefined> {
  const { exitCode, stdout } = await host.run('getent', ['passwd', installed.account])
  if (exitCode !== 0) return undefined
  const [, , uid, gid] = stdout.trim().split(':')
  if (uid === undefined || gid === undefined) return undefined
  return { uid: Number(uid), gid: Number(gid) }
}

/** @throws LockstepError `install-failed` */
export async function removeAccount(host: Host): Promise<void> {
  const { exitCode, stderr } = await host.run('userdel', [installed.account])
  if (exitCode !== 0) {
    throw new LockstepError(
      'install-failed',
      `the account "${installed.account}" could not be removed: ${stderr.trim()}`,
      { hint: 'End what still runs as it (`ps -u lockstep`), then uninstall again.' },
    )
  }
}
