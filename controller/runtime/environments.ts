// All environments of this controller: one runner each, started from the store, and kept in step
// with the hosts that are enrolled.

import type { EnvironmentState } from '#shared/environment/state.ts'
import type { Desired } from '#shared/desired.ts'
import type { EnrolledHost, HostApp } from '../store/host-store.ts'
import { type EnvironmentPorts, EnvironmentRunner } from './environment-runner.ts'
import type { StoredEnvironment } from './environment-store.ts'

export interface EnvironmentsPorts
  extends Pick<EnvironmentPorts, 'store' | 'clock' | 'onConflict'> {
  tell: (host: string, session: number, place: HostApp, desired: Desired) => void
  onChange: (state: EnvironmentState) => void
  onUnsaved: (place: HostApp, error: unknown) => void
}

export class Environments {
  readonly #ports: EnvironmentsPorts
  readonly #runners = new Map<string, EnvironmentRunner>()
  readonly #opening = new Map<string, Promise<EnvironmentRunner>>()

  private constructor(ports: EnvironmentsPorts) {
    this.#ports = ports
  }

  /** Resumes every stored environment, then joins and removes hosts that changed while away. */
  static async start(
    ports: EnvironmentsPorts,
    hosts: readonly EnrolledHost[],
  ): Promise<Environments> {
    const environments = new Environments(ports)
    try {
      for (const stored of await ports.store.list()) await environments.#begin(stored)
      for (const runner of environments.all()) environments.#removeStrangers(runner, hosts)
      for (const host of hosts) await environments.join(host)
      return environments
    } catch (error) {
      // Those that had begun already would go on deciding.
      environments.stop()
      throw error
    }
  }

  of(place: HostApp): EnvironmentRunner | null {
    return this.#runners.get(keyOf(place)) ?? null
  }

  /** The runner, with an environment of its own if there was none. */
  async open(place: HostApp): Promise<EnvironmentRunner> {
    const key = keyOf(place)
    const known = this.#runners.get(key)
    if (known !== undefined) return known
    const opening =
      this.#opening.get(key) ??
      this.#ports.store
        .open(place.app, place.environment)
        .then((stored) => this.#begin(stored))
        .finally(() => this.#opening.delete(key))
    this.#opening.set(key, opening)
    return opening
  }

  all(): readonly EnvironmentRunner[] {
    return [...this.#runners.values()]
  }

  /** Joins the host wherever it serves and takes it out where it no longer does. */
  async join(host: EnrolledHost): Promise<void> {
    for (const place of host.apps) (await this.open(place)).join(host.id, host.name)
    const served = new Set(host.apps.map(keyOf))
    for (const [key, runner] of this.#runners) if (!served.has(key)) runner.remove(host.id)
  }

  remove(host: string): void {
    for (const runner of this.#runners.values()) runner.remove(host)
  }

  stop(): void {
    for (const runner of this.#runners.values()) runner.stop()
  }

  async #begin(stored: StoredEnvironment): Promise<EnvironmentRunner> {
    const { app, environment } = stored.record
    const place = { app, environment }
    const runner = await EnvironmentRunner.start(stored, {
      store: this.#ports.store,
      clock: this.#ports.clock,
      tell: (host, session, desired) => this.#ports.tell(host, session, place, desired),
      onChange: this.#ports.onChange,
      onUnsaved: (error) => this.#ports.onUnsaved(place, error),
      onConflict: this.#ports.onConflict,
    })
    this.#runners.set(keyOf(place), runner)
    return runner
  }

  #removeStrangers(runner: EnvironmentRunner, hosts: readonly EnrolledHost[]): void {
    const enrolled = new Set(hosts.map((host) => host.id))
    for (const host of Object.keys(runner.state.record.members)) {
      if (!enrolled.has(host)) runner.remove(host)
    }
  }
}

function keyOf(place: HostApp): string {
  return `${place.app}/${place.environment}`
}
