// The controller's stream of events: keeps every recorded fact in order, over any number of
// controllers one after the other, and tells of every change.

import type { FactView } from '#shared/api/schemas.ts'
import { open } from '#cli/client/http-exchange.ts'
import { EventText } from '#cli/client/event-text.ts'
import { controllerEvent } from '#cli/client/controller-event.ts'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'

export class FactFeed {
  readonly facts: FactView[] = []
  readonly #onNews: () => void
  #lastEventId = '0'
  #reading: Promise<void> = Promise.resolve()

  constructor(onNews: () => void) {
    this.#onNews = onNews
  }

  /** Follows this controller until it ends; resolves when the stream is open. */
  async follow(url: string, token: string): Promise<void> {
    await this.#reading
    const { status, message, close } = await open({
      method: 'GET',
      url: `${url}/v1/events`,
      headers: { 'authorization': `Bearer ${token}`, 'last-event-id': this.#lastEventId },
      silenceMs: limits.eventSilenceMs,
      env: {},
      trust: { kind: 'public' },
    })
    if (status !== 200) throw new Error(`${url}/v1/events answers ${status}`)
    message.setEncoding('utf8')
    this.#reading = this.#read(message as AsyncIterable<string>).finally(close)
    this.#onNews()
  }

  async #read(message: AsyncIterable<string>): Promise<void> {
    const text = new EventText(limits.answerBytesMax)
    try {
      for await (const chunk of message) {
        for (const event of text.push(chunk)) {
          this.#lastEventId = event.id || this.#lastEventId
          const known = controllerEvent(event)
          if (known?.type === 'fact') this.facts.push(known.fact)
          this.#onNews()
        }
      }
    } catch (error) {
      // The controller was killed: what it recorded comes with the next one.
      if (error instanceof LockstepError || !(error instanceof Error)) throw error
    }
  }
}
