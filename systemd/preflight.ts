// What must be true of a machine before anything is changed on it. Only looks.

import { access } from 'node:fs/promises'
import { LockstepError } from '#shared/errors.ts'
import { at, type Host } from './host.ts'

/**
 * The first whose systemd-notify waits until its notification was taken; before, one could be lost
 * because its sender had gone (systemd's NEWS of 246).
 */
const systemdMin = 246

/** @throws LockstepError `not-root`, `unsupported-host` */
export async function checkHost(host: Host, command: string): Promise<void> {
  if (host.platform !== 'linux') {
    throw new LockstepError('unsupported-host', `${command} needs Linux, not ${host.platform}`, {
      hint: 'On this machine run the daemons in the foreground: `lockstep agent --config FILE`.',
    })
  }
  if (host.uid !== 0) {
    throw new LockstepError('not-root', `${command} changes this machine and needs root`, {
      hint: `Run it again as root: \`sudo lockstep ${command} …\`. Nothing was changed.`,
    })
  }
  if (!['x64', 'arm64'].includes(host.arch)) {
    throw new LockstepError('unsupported-host', `there is no bundled Node for ${host.arch}`, {
      hint: 'Lockstep is installed on x64 and arm64.',
    })
  }
  if (!(await exists(at(host, '/run/systemd/system')))) {
    throw new LockstepError('unsupported-host', 'systemd does not run this machine', {
      hint: 'Without systemd run the daemons in the foreground: `lockstep agent --config FILE`.',
    })
  }
  await checkSystemd(host)
}

async function checkSystemd(host: Host): Promise<void> {
  const { exitCode, stdout, stderr } = await host.run('systemctl', ['--version'])
  const version = Number(/^systemd (\d+)/.exec(stdout)?.[1])
  if (exitCode !== 0 || !Number.isInteger(version)) {
    throw new LockstepError('unsupported-host', `systemctl does not work: ${stderr.trim()}`, {
      hint: 'Lockstep needs systemd with its command line tools.',
    })
  }
  if (version < systemdMin) {
    throw new LockstepError(
      'unsupported-host',
      `systemd ${version} is too old for a service that notifies; ${systemdMin} is the oldest`,
      { hint: 'Use a distribution from 2021 or later.' },
    )
  }
  const notify = await host.run('systemd-notify', ['--version'])
  if (notify.exitCode !== 0) {
    throw new LockstepError('unsupported-host', 'systemd-notify is missing', {
      hint: 'The services tell systemd with it that they are ready; it belongs to systemd.',
    })
  }
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
