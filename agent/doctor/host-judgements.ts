// Judges the host around its apps: service, systemd, polkit, controller and clock, and who still works
// in an old release. Pure; host-facts.ts reads what is judged.

import type { CurrentLink } from '../layout/current-link.ts'
import { fail, type Judgement, ok, unknown, warn } from '#shared/finding.ts'
import { polkitOf } from '#shared/polkit.ts'

/** The first whose systemd-notify waits until its notification was taken (systemd's NEWS of 246). */
const systemdMin = 246
/** Beyond this, certificates, tokens and the times in logs begin to disagree. */
const clockOffsetMaxMs = 5000

/** @param firstLine of `systemctl --version`; null where there is none */
export function judgeSystemd(firstLine: string | null): Judgement {
  const version = Number(/^systemd (\d+)/.exec(firstLine ?? '')?.[1])
  if (Number.isNaN(version)) {
    return warn(
      'systemd does not run this machine',
      'Run the agent under a supervisor of your own; hooks and reloads by unit do not work.',
    )
  }
  if (version >= systemdMin) return ok(`systemd ${version}`)
  return fail(
    `systemd ${version} is too old for the agent’s service`,
    `Use a distribution with systemd ${systemdMin} or later.`,
  )
}

/**
 * @param said by `pkaction --version`; null where there is none
 * @param units that the agent asks systemd to reload or start
 * @param socketCount of the sockets that stand in for polkit's rule
 */
export function judgePolkit(
  said: string | null,
  units: readonly string[],
  socketCount: number,
): Judgement {
  const polkit = polkitOf(said)
  const name = polkit.kind === 'none' ? 'polkit is not installed' : polkit.name
  if (polkit.kind === 'able') return ok(name)
  if (socketCount > 0) {
    return ok(`${name}; the agent asks over ${socketCount} sockets instead, lockstep-ask-*`)
  }
  if (units.length === 0) return ok(`${name}, and not needed`)
  return fail(
    `${name}${polkit.kind === 'old' ? ' knows no single units' : ''}: the agent may not reload ` +
      units.join(', '),
    'Run `lockstep agent install`: it makes a socket for each that the agent asks over instead.',
  )
}

export interface ServiceFacts {
  /** Of `systemctl show`: `loaded`, `not-found` … */
  readonly loadState: string
  /** `active`, `failed`, `activating` … */
  readonly activeState: string
  /** The agent’s own line about how it is; empty before it said any. */
  readonly status: string
}

export function judgeService(facts: ServiceFacts | null): Judgement {
  if (facts === null || facts.loadState === 'not-found') {
    return warn('lockstep-agent.service is not installed', 'Run `lockstep agent install`.')
  }
  if (facts.activeState === 'active') {
    if (!facts.status.startsWith('not ')) return ok('lockstep-agent.service is active')
    return fail(
      `lockstep-agent.service is active, and ${facts.status}`,
      'See what to do: `journalctl -u lockstep-agent -n 50`.',
    )
  }
  return fail(
    `lockstep-agent.service is ${facts.activeState}`,
    'See why: `journalctl -u lockstep-agent -n 50`.',
  )
}

export interface ClockFacts {
  /** What the controller's clock shows beyond ours, and how wrong that may be at most. */
  readonly offsetMs: number
  readonly errorMs: number
}

export function judgeClock({ offsetMs, errorMs }: ClockFacts): Judgement {
  const offset = `${(Math.abs(offsetMs) / 1000).toFixed(1)} s`
  const error = `± ${(errorMs / 1000).toFixed(1)} s`
  if (Math.abs(offsetMs) - errorMs <= clockOffsetMaxMs) {
    return ok(`within ${offset} ${error} of the controller’s clock`)
  }
  return warn(
    `${offset} (${error}) ${offsetMs > 0 ? 'behind' : 'ahead of'} the controller’s clock`,
    'Synchronise it (chrony, systemd-timesyncd): certificates and tokens depend on it, swaps do not.',
  )
}

/** @param current as the agent sees it */
export function judgeCurrent(current: CurrentLink): Judgement {
  if (current.kind === 'none') return ok('there is no `current` yet: nothing was activated')
  if (current.kind === 'directory') {
    return fail(
      '`current` is a real directory or file, which is never overwritten',
      'Move it away, or make it a link to what it holds.',
    )
  }
  if (current.kind === 'release') return ok(`current → ${current.link}`)
  if (current.resolves) {
    return warn(
      `current → ${current.link}, which is no version of Lockstep’s`,
      'The next activation replaces the link; what it leads to stays as it is.',
    )
  }
  return fail(
    `current → ${current.link} leads nowhere`,
    'Deploy a release, or point the link to one of versions/.',
  )
}

export interface LingeringProcess {
  readonly pid: number
  readonly name: string
  /** The systemd unit that it belongs to; null where it belongs to none. */
  readonly unit: string | null
  /** The version that it works in. */
  readonly version: string
}

export interface ProcessFacts {
  /** Processes whose working directory is a version that `current` does not lead to. */
  readonly lingering: readonly LingeringProcess[]
  /** Processes whose working directory could not be read. */
  readonly unseen: number
}

export function judgeProcesses({ lingering, unseen }: ProcessFacts): Judgement {
  if (lingering.length > 0) {
    const names = lingering.slice(0, 5).map(({ pid, name, unit, version }) => {
      return `${name} (${pid}${unit === null ? '' : `, ${unit}`}) in ${version}`
    })
    const more = lingering.length > 5 ? ` and ${lingering.length - 5} more` : ''
    const units = [...new Set(lingering.flatMap(({ unit }) => (unit === null ? [] : [unit])))]
    return warn(
      `still in an old release: ${names.join(', ')}${more}`,
      units.length === 0
        ? 'Restart them: a process keeps the directory that it was started in.'
        : `Restart ${units.join(', ')} after each activation, by a hook: a reload keeps the directory.`,
    )
  }
  if (unseen > 0) {
    return unknown(
      `none that can be seen is in an old release; ${unseen} could not be looked at`,
      'Run `lockstep doctor` as root to see the processes of other users.',
    )
  }
  return ok('no process works in an old release')
}
