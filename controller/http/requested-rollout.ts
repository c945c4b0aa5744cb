// What the body of a request asks of the machine: names become ids, labels become hosts, here and at
// the request, so that who takes part is decided once.

import { randomUUID } from 'node:crypto'
import type { Policy } from '#shared/api/requests.ts'
import type { RolloutRequest } from '#shared/environment/events.ts'
import { LockstepError } from '#shared/errors.ts'
import { hasLabels, parseSelector } from '#shared/labels.ts'
import { limits } from '#shared/limits.ts'
import type { Release } from '#shared/release.ts'
import type { HostApp } from '../store/host-store.ts'
import type { FleetMember, LiveView } from '../views/live-view.ts'
import { requirementOf } from './requirement.ts'

export type Requester = Pick<RolloutRequest, 'requestedBy' | 'requestKey'>

/**
 * @throws LockstepError `unknown-host` for a name that no host has, `nobody-selected` for labels
 *   that no host of the environment has
 */
export async function requestedRollout(
  live: LiveView,
  place: HostApp,
  release: Release,
  { policy, who }: { policy: Policy; who: Requester },
): Promise<RolloutRequest> {
  const isPlain = policy.exclude === undefined && policy.on === undefined
  const fleet = isPlain ? [] : await live.fleet(place)
  return {
    id: randomUUID(),
    release,
    requirement: requirementOf(policy.require ?? 'all'),
    waitMs: policy.waitMs ?? limits.stageDeadlineMs,
    exclude: { ...notSelected(place, fleet, policy.on), ...excluded(fleet, policy.exclude ?? {}) },
    allowEmpty: policy.allowEmpty ?? false,
    waves: [],
    once: null,
    force: false,
    ...who,
  }
}

/** Hosts are excluded by name, be it that they serve something else: the machine says so then. */
function excluded(
  fleet: readonly FleetMember[],
  byName: Readonly<Record<string, string>>,
): Record<string, string> {
  const ids = new Map(fleet.map((host) => [host.name, host.id]))
  return Object.fromEntries(
    Object.entries(byName).map(([name, reason]) => {
      const id = ids.get(name)
      if (id !== undefined) return [id, reason]
      throw new LockstepError('unknown-host', `there is no host ${name}`, {
        hint: 'See `lockstep hosts`.',
      })
    }),
  )
}

/** The members without any of the labels that are asked for, with the reason that people read. */
function notSelected(
  { app, environment }: HostApp,
  fleet: readonly FleetMember[],
  on: readonly string[] | undefined,
): Record<string, string> {
  if (on === undefined) return {}
  const selectors = on.map(parseSelector)
  const wanted = on.join(' or ')
  const members = fleet.filter((host) => host.isMember)
  const others = members.filter(
    ({ labels }) => !selectors.some((selector) => hasLabels(labels, selector)),
  )
  if (others.length < members.length) {
    return Object.fromEntries(others.map(({ id }) => [id, `not selected by ${wanted}`]))
  }
  throw new LockstepError(
    'nobody-selected',
    `no host of ${app} in ${environment} has the labels ${wanted}`,
    { hint: '`lockstep hosts` shows the labels; they are set in agent.toml on the host.' },
  )
}
