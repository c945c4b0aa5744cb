// Who runs the command and what else is on this machine: what an app's commands on its host go by.

import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import type { HostAppsContext } from '#shared/host-apps.ts'
import { lookUpAccount } from '#systemd/account.ts'
import { lockDirectory } from '#systemd/instance-lock.ts'
import { thisHost } from '#systemd/this-host.ts'
import type { Environment } from './connection.ts'

export function thisMachine(env: Environment): HostAppsContext {
  const host = thisHost()
  return {
    person: personOf(env, host.uid),
    uid: host.uid,
    now: () => Date.now(),
    account: async () => (await lookUpAccount(host, 'agent')) ?? null,
    isAgentRunning,
  }
}

/** Behind sudo(8) it is not root who decides. */
function personOf(env: Environment, uid: number): string {
  const { SUDO_USER } = env
  if (SUDO_USER !== undefined && SUDO_USER !== '') return SUDO_USER
  try {
    return userInfo().username
  } catch (error) {
    // A user that no account file knows, as in some containers.
    if (systemCodeOf(error) === undefined) throw error
    return `user ${uid}`
  }
}

/** An agent holds its state directory for as long as it lives. */
async function isAgentRunning(state: string): Promise<boolean> {
  if (!existsSync(state)) return false
  try {
    const lock = await lockDirectory(state, 'state directory')
    lock.release()
    return false
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error
    return error.code === 'already-running'
  }
}
