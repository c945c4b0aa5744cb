// The system account that a service runs as, each its own: looked up, made where it is missing, removed.

import { LockstepError } from '#shared/errors.ts'
import type { Owner } from './durable-file.ts'
import { type Host, type Role, services } from './host.ts'
import { extendRecord } from './install-record.ts'

export interface NamedOwner extends Owner {
  readonly name: string
}

export interface Account extends NamedOwner {
  readonly origin: 'created' | 'found'
}

/**
 * Makes the account where it is missing. It has no password, no home and no shell.
 * @throws LockstepError `install-failed`
 */
export async function ensureAccount(host: Host, role: Role): Promise<Account> {
  const { account: name } = services[role]
  const found = await lookUpAccount(host, role)
  if (found !== undefined) return { ...found, origin: 'found' }
  const hasGroup = (await host.run('getent', ['group', name])).exitCode === 0
  const { exitCode, stderr } = await host.run('useradd', [
    '--system',
    ...(hasGroup ? ['--gid', name] : ['--user-group']),
    '--no-create-home',
    '--home-dir',
    '/nonexistent',
    '--shell',
    '/usr/sbin/nologin',
    '--comment',
    'Lockstep',
    name,
  ])
  const made = await lookUpAccount(host, role)
  if (made === undefined) {
    throw new LockstepError(
      'install-failed',
      `useradd could not make the account "${name}" (${exitCode}): ${stderr.trim()}`,
      { hint: `Make a system account "${name}" yourself, then install again.` },
    )
  }
  await extendRecord(host, { accountsCreated: [name] })
  return { ...made, origin: 'created' }
}

/** The account of a service; undefined where there is none of its name. */
export async function lookUpAccount(host: Host, role: Role): Promise<NamedOwner | undefined> {
  const { account: name } = services[role]
  const { exitCode, stdout } = await host.run('getent', ['passwd', name])
  if (exitCode !== 0) return undefined
  const [, , uid, gid] = stdout.trim().split(':')
  if (uid === undefined || gid === undefined) return undefined
  return { name, uid: Number(uid), gid: Number(gid) }
}

/** @throws LockstepError `install-failed` */
export async function removeAccount(host: Host, role: Role): Promise<void> {
  const { account: name } = services[role]
  const { exitCode, stderr } = await host.run('userdel', [name])
  if (exitCode !== 0) {
    throw new LockstepError(
      'install-failed',
      `the account "${name}" could not be removed: ${stderr.trim()}`,
      { hint: `End what still runs as it (\`ps -u ${name}\`), then uninstall again.` },
    )
  }
}
