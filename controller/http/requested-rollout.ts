// What the body of a request asks of the machine: names become ids, labels become hosts, here and at
// the request, so that who takes part is decided once.

import { randomUUID } from 'node:crypto'
import type { Policy, WaveBody } from '#shared/api/requests.ts'
import type { RolloutRequest, WaveRequest } from '#shared/environment/events.ts'
import { LockstepError } from '#shared/errors.ts'
import { hasLabels, parseSelector } from '#shared/labels.ts'
import { limits } from '#shared/limits.ts'
import type { Release } from '#shared/release.ts'
import type { HostApp } from '../store/host-store.ts'
import type { FleetMember, LiveView } from '../views/live-view.ts'
import { requirementOf } from './requirement.ts'

export type Requester = Pick<RolloutRequest, 'requestedBy' | 'requestKey'>

/**
 * @throws LockstepError `unknown-host` for a name that no host of the environment has,
 *   `nobody-selected` for labels that none has, `bad-request` for a wave that says not whom it takes
 */
export async function requestedRollout(
  live: LiveView,
  place: HostApp,
  release: Release,
  { policy, who }: { policy: Policy; who: Requester },
): Promise<RolloutRequest> {
  const fleet = fleetOf(isByName(policy) ? await live.fleet(place) : [])
  return {
    id: randomUUID(),
    release,
    requirement: requirementOf(policy.require ?? 'all'),
    waitMs: policy.waitMs ?? limits.stageDeadlineMs,
    exclude: { ...notSelected(place, fleet, policy.on), ...excluded(fleet, policy.exclude ?? {}) },
    allowEmpty: policy.allowEmpty ?? false,
    waves: (policy.waves ?? []).map((wave) => waveOf(fleet, wave)),
    once: policy.once ?? null,
    force: policy.force ?? false,
    ...who,
  }
}

/** Hosts of the environment; of others not even the name is known here. */
interface Fleet {
  readonly ids: ReadonlyMap<string, string>
  readonly members: readonly FleetMember[]
}

function fleetOf(hosts: readonly FleetMember[]): Fleet {
  const members = hosts.filter((host) => host.isMember)
  return { ids: new Map(members.map((host) => [host.name, host.id])), members }
}

function isByName({ exclude, on, waves = [] }: Policy): boolean {
  const isNamed = waves.some((wave) => wave.hosts !== undefined || wave.label !== undefined)
  return exclude !== undefined || on !== undefined || isNamed
}

function waveOf(fleet: Fleet, wave: WaveBody): WaveRequest {
  const { name = null, soakMs = null, hosts, label, count, percent } = wave
  const ways = [hosts, label, count, percent].filter((way) => way !== undefined)
  if (ways.length !== 1) {
    throw new LockstepError('bad-request', 'a wave says not, or twice, which hosts it takes', {
      hint: 'Give it one of hosts, label, count and percent.',
    })
  }
  if (count !== undefined) return { name, soakMs, hosts: { kind: 'count', value: count } }
  if (percent !== undefined) return { name, soakMs, hosts: { kind: 'percent', value: percent } }
  const ids = hosts?.map((host) => idOf(fleet, host)) ?? idsWith(fleet, label ?? '')
  return { name, soakMs, hosts: { kind: 'hosts', hosts: ids } }
}

function idsWith(fleet: Fleet, label: string): readonly string[] {
  const wanted = parseSelector(label)
  return fleet.members.filter(({ labels }) => hasLabels(labels, wanted)).map(({ id }) => id)
}

/** @throws LockstepError `unknown-host`. */
function idOf(fleet: Fleet, name: string): string {
  const id = fleet.ids.get(name)
  if (id !== undefined) return id
  throw new LockstepError('unknown-host', `there is no host ${name}`, {
    hint: 'See `lockstep hosts`.',
  })
}

function excluded(fleet: Fleet, byName: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(byName).map(([name, reason]) => [idOf(fleet, name), reason]),
  )
}

/** The members without any of the labels that are asked for, with the reason that people read. */
function notSelected(
  { app, environment }: HostApp,
  fleet: Fleet,
  on: readonly string[] | undefined,
): Record<string, string> {
  if (on === undefined) return {}
  const selectors = on.map(parseSelector)
  const wanted = on.join(' or ')
  const { members } = fleet
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
