// Reads for the API that join what is stored with what is heard: the one place that knows both.

import type {
  EnvironmentView,
  HostView,
  ParticipantView,
  RolloutView,
} from '#shared/api/schemas.ts'
import type { Clock } from '#shared/clock.ts'
import { LockstepError } from '#shared/errors.ts'
import { hasLabels, type Labels } from '#shared/labels.ts'
import { limits } from '#shared/limits.ts'
import type { Rollout } from '#shared/environment/rollout.ts'
import type { Release } from '#shared/release.ts'
import type { Environments } from '../runtime/environments.ts'
import type { SessionRegistry } from '../sessions/session-registry.ts'
import type { EnvironmentSettingStore } from '../store/environment-setting-store.ts'
import type { HistoryStore } from '../store/history-store.ts'
import type { EnrolledHost, HostApp, HostStore, LabelledHost } from '../store/host-store.ts'
import { clonedFailure, hostView, notServedBy } from './host-view.ts'
import { rolloutView } from './rollout-view.ts'

/** An enrolled host as requests choose among them. */
export interface FleetMember {
  readonly id: string
  readonly name: string
  readonly labels: Labels
  /** Whether the environment is among those that it serves. */
  readonly isMember: boolean
}

/** Whether whoever asks may read what is in a place. */
export type Sees = (place: HostApp) => boolean

export class LiveView {
  readonly #clock: Clock
  readonly #environments: Environments
  readonly #sessions: SessionRegistry
  readonly #hosts: HostStore
  readonly #history: HistoryStore
  readonly #settings: EnvironmentSettingStore

  constructor(ports: {
    clock: Clock
    environments: Environments
    sessions: SessionRegistry
    hosts: HostStore
    history: HistoryStore
    environmentSettings: EnvironmentSettingStore
  }) {
    this.#clock = ports.clock
    this.#environments = ports.environments
    this.#sessions = ports.sessions
    this.#hosts = ports.hosts
    this.#history = ports.history
    this.#settings = ports.environmentSettings
  }

  /**
   * @param sees of the hosts' other places only those are shown
   * @throws LockstepError `unknown-environment`.
   */
  async environment(place: HostApp, sees: Sees): Promise<EnvironmentView> {
    const runner = this.#environments.of(place)
    if (runner === null) {
      throw new LockstepError(
        'unknown-environment',
        `${place.app} has no environment ${place.environment}`,
        { hint: 'An environment comes to be when a host joins it or a release is desired in it.' },
      )
    }
    const { record } = runner.state
    const { fence } = record.decision ?? { fence: null }
    const { freeze, requires, approvals } = await this.#settings.get(place)
    return {
      ...place,
      freeze: freeze === null ? null : { ...freeze },
      requires,
      approvals,
      desired: record.desired,
      committed: record.committed,
      fence: fence === null ? null : { term: fence.term, epoch: fence.epoch },
      fencedBy: Object.entries(record.fencedBy).map(([host, by]) => ({
        host,
        name: record.members[host]?.name ?? host,
        term: by.fence.term,
        epoch: by.fence.epoch,
        why: by.why,
      })),
      rollout: record.rollout === null ? null : this.rollout(record.rollout),
      failed: await this.#failed(place, record.committed),
      hosts: await this.hosts(place, sees),
    }
  }

  /** What was recovered to is committed, whatever became of it before. */
  async #failed(place: HostApp, committed: Release | null): Promise<EnvironmentView['failed']> {
    const failed = await this.#history.failed(place)
    const others = failed.filter(({ release }) => release.tree !== committed?.tree)
    return others.slice(0, limits.historyItemsMax)
  }

  /** With what is heard now, if it is its environment's newest. */
  rollout(rollout: Rollout): RolloutView {
    const state = this.#environments.of(rollout)?.state ?? null
    const newest = state?.record.rollout
    const once = state?.record.once[rollout.target.tree] ?? null
    if (newest?.id !== rollout.id) return rolloutView(rollout, null, this.#clock.now(), once)
    const view = rolloutView(newest, state, this.#clock.now(), once)
    return { ...view, participants: view.participants.map((p) => this.#withNotServed(p, rollout)) }
  }

  #withNotServed(participant: ParticipantView, place: HostApp): ParticipantView {
    const failure = this.#sessions.isCloned(participant.host)
      ? clonedFailure(participant)
      : notServedBy(this.#sessions.of(participant.host), place)
    return failure === null ? participant : { ...participant, phase: 'failed', failure }
  }

  /** @throws LockstepError `unknown-rollout`. */
  async rolloutById(id: string): Promise<RolloutView> {
    const open = this.#environments.all().find((r) => r.state.record.rollout?.id === id)
    const rollout = open?.state.record.rollout ?? (await this.#history.rollout(id))
    if (rollout !== null && rollout !== undefined) return this.rollout(rollout)
    throw new LockstepError('unknown-rollout', `there is no rollout ${id}`, {
      hint: '`lockstep history APP --env ENV` lists them.',
    })
  }

  /** Where the rollout is or was, or null for one that never was. */
  async placeOfRollout(id: string): Promise<HostApp | null> {
    const newest = this.#environments.all().find((r) => r.state.record.rollout?.id === id)
    return newest?.state.record ?? (await this.#history.placeOf(id))
  }

  /** In the order of their names; with the labels when some are wanted. */
  async hosts(place: Partial<HostApp>, sees: Sees, wanted: Labels = {}): Promise<HostView[]> {
    const hosts = (await this.#hosts.list()).map((host) => asSeen(host, sees))
    return hosts
      .filter((host) => servesAny(host, place) && hasLabels(this.#labelsOf(host), wanted))
      .map((host) => this.host(host, sees))
  }

  /** Every enrolled host, in the order of their names. */
  async fleet(place: HostApp): Promise<readonly FleetMember[]> {
    const members = this.#environments.of(place)?.state.record.members ?? {}
    return (await this.#hosts.list()).map((host) => ({
      id: host.id,
      name: host.name,
      labels: this.#labelsOf(host),
      isMember: members[host.id] !== undefined,
    }))
  }

  /** What a connected host says itself is newer than what is stored of it. */
  #labelsOf(host: LabelledHost): Labels {
    return this.#sessions.of(host.id)?.hello?.labels ?? host.labels
  }

  /** Of what it serves only what is seen. */
  host(host: LabelledHost, sees: Sees): HostView {
    return hostView({
      host: asSeen(host, sees),
      labels: this.#labelsOf(host),
      session: this.#sessions.of(host.id),
      stateOf: (place) => this.#environments.of(place)?.state ?? null,
      at: this.#clock.now(),
    })
  }
}

function asSeen(host: LabelledHost, sees: Sees): LabelledHost {
  return { ...host, apps: host.apps.filter(sees) }
}

function servesAny(host: EnrolledHost, place: Partial<HostApp>): boolean {
  return host.apps.some(
    (served) =>
      (place.app === undefined || place.app === served.app) &&
      (place.environment === undefined || place.environment === served.environment),
  )
}
