// One follower's stream of server-sent events. Changes are gathered for a moment, so that a fleet
// that reports at once is one event; a follower that does not read is let go.

import type { ServerResponse } from 'node:http'
import type { FactView } from '#shared/api/schemas.ts'
import type { Clock } from '#shared/clock.ts'
import { limits } from '#shared/limits.ts'
import { type Grants, sees } from '../access/permission.ts'
import type { Announcement, Announcements } from '../runtime/announcements.ts'
import type { HistoryStore, PlaceFilter, StoredFact } from '../store/history-store.ts'

export interface EventStreamPorts {
  history: HistoryStore
  announcements: Announcements
  clock: Clock
  stopping: AbortSignal
  place: PlaceFilter
  /** What the follower may see. */
  sight: Grants
  /** When the follower's token expires, epoch milliseconds. */
  until: number
  /** Calls back when it is revoked; returns what to call when the stream has ended. */
  onRevoked: (end: () => void) => () => void
  view: (fact: StoredFact) => FactView
  /** The stream ended because facts could not be read; the follower comes back by itself. */
  onFault: (error: unknown) => void
}

/** Changes within this time are one event. */
const gatherMs = 50
/** A comment so often keeps proxies from closing a quiet stream. */
const keepAliveMs = 15_000

export class EventStream {
  readonly #response: ServerResponse
  readonly #ports: EventStreamPorts
  readonly #changed = new Map<string, Announcement>()
  #after = 0
  #gathering: (() => void) | null = null
  #flushing = false
  #keepingAlive: (() => void) | null = null
  #stopListening: () => void = () => undefined
  #closed = false

  constructor(response: ServerResponse, ports: EventStreamPorts) {
    this.#response = response
    this.#ports = ports
  }

  /** @param after the id of the last fact that the follower has */
  start(after: number): void {
    // It may have left before it was answered: its end would never be heard of.
    if (this.#response.destroyed) return
    this.#after = after
    this.#response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    })
    this.#response.write('retry: 1000\n\n')
    const end = () => this.#end()
    const unlisten = this.#ports.announcements.listen((change) => this.#hear(change))
    this.#ports.stopping.addEventListener('abort', end, { once: true })
    const forget = this.#ports.onRevoked(end)
    this.#stopListening = () => {
      unlisten()
      forget()
      this.#ports.stopping.removeEventListener('abort', end)
    }
    this.#response.on('close', () => this.#stop())
    this.#keepAlive()
    this.#gather()
  }

  #hear(change: Announcement): void {
    const { place, sight } = this.#ports
    if (place.app !== undefined && place.app !== change.app) return
    if (place.environment !== undefined && place.environment !== change.environment) return
    if (!sees(sight, change)) return
    this.#changed.set(`${change.app}/${change.environment}`, change)
    this.#gather()
  }

  #gather(): void {
    if (this.#gathering !== null || this.#flushing || this.#closed) return
    const { clock } = this.#ports
    this.#gathering = clock.timer(clock.now() + gatherMs, () => {
      this.#gathering = null
      this.#flushing = true
      this.#flush().then(
        (mayBeMore) => {
          this.#flushing = false
          if (mayBeMore || this.#changed.size > 0) this.#gather()
        },
        (error: unknown) => this.#fail(error),
      )
    })
  }

  /** One at a time, so that no fact is sent twice. @returns whether there may be more facts */
  async #flush(): Promise<boolean> {
    if (this.#hasExpired()) return false
    // What was said before this page is still unread; a page itself may be of any length.
    if (this.#response.writableLength > limits.sendBufferBytesMax) {
      this.#response.destroy()
      return false
    }
    const { history, place, sight } = this.#ports
    const changes = [...this.#changed.values()]
    this.#changed.clear()
    const facts = await history.facts(this.#after, limits.pageItemsMax, place, sight)
    if (this.#closed) return false
    for (const fact of facts) {
      this.#after = fact.id
      this.#send('fact', this.#ports.view(fact), fact.id)
    }
    for (const { app, environment, rollout } of changes) {
      this.#send('change', { app, environment, rollout })
    }
    return facts.length === limits.pageItemsMax
  }

  #fail(error: unknown): void {
    if (this.#closed) return
    this.#ports.onFault(error)
    this.#stop()
    this.#response.destroy()
  }

  #send(event: string, data: unknown, id?: number): void {
    const idLine = id === undefined ? '' : `id: ${id}\n`
    this.#response.write(`${idLine}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
  }

  #keepAlive(): void {
    const { clock } = this.#ports
    this.#keepingAlive = clock.timer(clock.now() + keepAliveMs, () => {
      if (this.#hasExpired()) return
      this.#response.write(': still here\n\n')
      this.#keepAlive()
    })
  }

  /** Looked at whenever something would be said: a timer cannot be set a year ahead. */
  #hasExpired(): boolean {
    const hasExpired = this.#ports.clock.now() >= this.#ports.until
    if (hasExpired) this.#end()
    return hasExpired
  }

  #end(): void {
    this.#stop()
    this.#response.end()
  }

  #stop(): void {
    if (this.#closed) return
    this.#closed = true
    this.#stopListening()
    this.#gathering?.()
    this.#keepingAlive?.()
  }
}
