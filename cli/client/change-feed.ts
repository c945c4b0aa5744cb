// Listens to the controller's events as long as somebody follows, and wakes whoever waits for the next
// one. Events only say that a look is worth while: what is lost of them costs time, never truth.

import { backoffDelayMs } from '#shared/backoff.ts'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import type { Clock } from '../surroundings.ts'
import type { Place } from './api-path.ts'
import type { ControllerClient } from './controller-client.ts'
import { type ControllerEvent, controllerEvent } from './controller-event.ts'

export interface ChangeFeedOptions {
  readonly client: ControllerClient
  readonly filter: Partial<Place>
  readonly clock: Clock
  readonly random: () => number
  readonly onEvent?: (event: ControllerEvent) => void
}

export class ChangeFeed {
  readonly #options: ChangeFeedOptions
  readonly #stopped = new AbortController()
  readonly #listening: Promise<void>
  #hasNews = false
  #wake: () => void = () => {}

  constructor(options: ChangeFeedOptions) {
    this.#options = options
    this.#listening = this.#listen()
  }

  /** Resolves after the next event, or `ms` without one, or when the signal is aborted. */
  async next(ms: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    const done = new AbortController()
    const either = AbortSignal.any([done.signal, signal])
    const news = new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    if (!this.#hasNews) await Promise.race([news, clock.sleep(ms, either)])
    if (this.#hasNews) await clock.sleep(limits.changePauseMs, either)
    done.abort()
    this.#hasNews = false
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#listening
  }

  async #listen(): Promise<void> {
    const { client, filter, clock, random } = this.#options
    const { signal } = this.#stopped
    let lastEventId = ''
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      try {
        for await (const event of client.events(filter, { lastEventId, signal })) {
          attempt = 0
          lastEventId = event.id
          this.#hear(controllerEvent(event))
        }
      } catch (error) {
        // Following goes on by looking from time to time, and says itself what is amiss.
        if (!signal.aborted && !(error instanceof LockstepError)) throw error
      }
      const bounds = { minMs: limits.reconnectMinMs, maxMs: 2 * limits.pollEveryMs }
      await clock.sleep(bounds.minMs + backoffDelayMs(attempt, random(), bounds), signal)
    }
  }

  #hear(event: ControllerEvent | undefined): void {
    if (event === undefined) return
    this.#options.onEvent?.(event)
    this.#hasNews = true
    this.#wake()
  }
}
