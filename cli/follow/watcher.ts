// Watches environments for as long as wanted, across rollouts: looks again whenever something changed, and
// hands on what it sees. Decides nothing and says nothing itself.

import type { HookOutputView } from '#shared/api/output-schemas.ts'
import type { EnvironmentView, FactView, RolloutView } from '#shared/api/schemas.ts'
import { limits } from '#shared/limits.ts'
import { ChangeFeed } from '../client/change-feed.ts'
import type { Place } from '../client/api-path.ts'
import type { ControllerClient } from '../client/controller-client.ts'
import { askPatiently } from '../client/patience.ts'
import type { Text } from '../output/text.ts'
import type { Surroundings } from '../surroundings.ts'
import { OutputTail } from './output-tail.ts'

export interface Watched {
  onEnvironment(view: EnvironmentView): void
  /** The end of a rollout that another has followed before it was looked at. */
  onRollout(view: RolloutView): void
  onFact(fact: FactView): void
  /** A hook of a host has said something, in an open rollout of the place. */
  onOutput(output: HookOutputView, place: Place): void
}

export interface WatchOptions extends Pick<Surroundings, 'clock' | 'random'> {
  readonly client: ControllerClient
  /** An app and environment, an app, or nothing for all. */
  readonly filter: Partial<Place>
  readonly places: () => Promise<readonly Place[]>
  readonly signal: AbortSignal
  /** Hears of the controller's silence. */
  readonly say: (text: Text) => void
  readonly watched: Watched
}

/** Never returns: @throws the signal's reason; LockstepError what the controller refuses */
export async function watchEnvironments(options: WatchOptions): Promise<never> {
  const { signal, filter, watched } = options
  const watcher = new Watcher(options)
  await watcher.lookAtAll({ hasAnswered: false })
  const changed = new Map<string, Place>()
  // The controller selects by both or by nothing.
  const isOne = filter.app !== undefined && filter.environment !== undefined
  const feed = new ChangeFeed({
    ...options,
    filter: isOne ? filter : {},
    onEvent: (event) => {
      const place = event.type === 'fact' ? event.fact : event
      if (!isWanted(place, filter)) return
      if (event.type === 'fact') watched.onFact(event.fact)
      changed.set(`${place.app} ${place.environment}`, place)
    },
  })
  try {
    for (;;) {
      await feed.next(limits.pollEveryMs, signal)
      const places = [...changed.values()]
      changed.clear()
      if (places.length === 0) await watcher.lookAtAll({ hasAnswered: true })
      for (const place of places) await watcher.lookAt(place)
    }
  } finally {
    await feed.stop()
  }
}

class Watcher {
  readonly #options: WatchOptions
  readonly #open = new Map<string, string>()
  readonly #tails = new Map<string, OutputTail>()

  constructor(options: WatchOptions) {
    this.#options = options
  }

  async lookAtAll({ hasAnswered }: { hasAnswered: boolean }): Promise<void> {
    const places = await this.#ask(() => this.#options.places(), hasAnswered)
    for (const place of places) await this.lookAt(place)
  }

  async lookAt({ app, environment }: Place): Promise<void> {
    const { client, watched } = this.#options
    const view = await this.#ask(() => client.environment({ app, environment }))
    const key = `${app} ${environment}`
    const before = this.#open.get(key)
    const { rollout } = view
    if (before !== undefined && rollout !== null && rollout.id !== before) {
      const ended = await this.#ask(() => client.rollout(before))
      await this.#tellOutput({ app, environment }, ended)
      watched.onRollout(ended)
    }
    await this.#tellOutput({ app, environment }, rollout)
    if (rollout === null || rollout.exitCode !== null) this.#open.delete(key)
    else this.#open.set(key, rollout.id)
    watched.onEnvironment(view)
  }

  /** From the first look at an open rollout up to the one that finds it ended. */
  async #tellOutput(place: Place, rollout: RolloutView | null): Promise<void> {
    const { client, watched } = this.#options
    if (rollout === null) return
    const { id, exitCode } = rollout
    if (exitCode === null && !this.#tails.has(id)) this.#tails.set(id, new OutputTail(client, id))
    for (const output of (await this.#tails.get(id)?.next()) ?? []) {
      watched.onOutput(output, place)
    }
    if (exitCode !== null) this.#tails.delete(id)
  }

  #ask<T>(ask: () => Promise<T>, hasAnswered = true): Promise<T> {
    const limitMs = hasAnswered ? limits.followPatienceMs : limits.requestPatienceMs
    return askPatiently(ask, { ...this.#options, limitMs, hasAnswered })
  }
}

function isWanted(place: Place, { app, environment }: Partial<Place>): boolean {
  return (
    (app === undefined || app === place.app) &&
    (environment === undefined || environment === place.environment)
  )
}
