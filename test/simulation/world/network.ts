// Connections between agents and the controller. A frame may be lost, doubled, late or overtaken,
// and a host may be cut off; whoever is cut off hears of no end either.

import type { Random } from '../kernel/random.ts'
import type { Trace } from '../kernel/trace.ts'
import type { VirtualTime } from '../kernel/virtual-time.ts'
import type { Counts, Faults } from './faults.ts'

export type End = 'agent' | 'controller'

export interface NetworkParts {
  time: VirtualTime
  random: Random
  trace: Trace
  counts: Counts
  faults: () => Faults
}

export class Network {
  readonly #parts: NetworkParts
  readonly #cut = new Set<string>()
  readonly #connections = new Set<Connection>()
  /** `end host` → frames that wait on their way to that end, oldest first. */
  readonly #held = new Map<string, (() => void)[]>()
  #numbers = 0

  constructor(parts: NetworkParts) {
    this.#parts = parts
  }

  isCut(host: string): boolean {
    return this.#cut.has(host)
  }

  cutOff(host: string): void {
    this.#cut.add(host)
    this.#parts.counts.add('partition')
  }

  cutOffFor(host: string, forMs: number): void {
    this.cutOff(host)
    this.#parts.time.after(forMs, () => this.heal(host))
  }

  heal(host: string): void {
    this.#cut.delete(host)
  }

  /** From now on frames to this end of the host's connections wait, like in a socket unread. */
  hold(host: string, to: End): void {
    this.#held.set(`${to} ${host}`, [])
  }

  /** Nothing is held any more; what was waiting, for the caller to let arrive or to lose. */
  take(host: string, to: End): readonly (() => void)[] {
    const frames = this.#held.get(`${to} ${host}`) ?? []
    this.#held.delete(`${to} ${host}`)
    return frames
  }

  /** The oldest that waited arrive on the connections that they were sent on; the rest is lost. */
  release(host: string, to: End, count = Number.POSITIVE_INFINITY): void {
    for (const arrive of this.take(host, to).slice(0, count)) this.#parts.time.after(1, arrive)
  }

  /** How many frames wait on their way to this end. */
  waiting(host: string, to: End): number {
    return this.#held.get(`${to} ${host}`)?.length ?? 0
  }

  /** Whether the frame has to wait. */
  keeps(host: string, to: End, arrive: () => void): boolean {
    const frames = this.#held.get(`${to} ${host}`)
    frames?.push(arrive)
    return frames !== undefined
  }

  /** Ends the host's connections at both ends, like a router that forgot them. */
  disconnect(host: string): void {
    for (const connection of this.#connections) {
      if (connection.host !== host) continue
      this.#parts.counts.add('disconnect')
      connection.breakOff()
    }
  }

  connect(host: string): Connection {
    this.#numbers += 1
    const connection = new Connection(host, this.#numbers, this, this.#parts)
    this.#connections.add(connection)
    return connection
  }

  forget(connection: Connection): void {
    this.#connections.delete(connection)
  }
}

interface Listener {
  frame: (text: string) => void
  closed: () => void
}

const deaf: Listener = { frame: () => undefined, closed: () => undefined }

export class Connection {
  readonly host: string
  readonly number: number
  readonly #network: Network
  readonly #parts: NetworkParts
  readonly #listeners: Record<End, Listener> = { agent: deaf, controller: deaf }
  readonly #isOpen: Record<End, boolean> = { agent: true, controller: true }
  /** A frame that is not overtaken arrives after the one before it. */
  readonly #lastArrivalAt: Record<End, number> = { agent: 0, controller: 0 }

  constructor(host: string, number: number, network: Network, parts: NetworkParts) {
    this.host = host
    this.number = number
    this.#network = network
    this.#parts = parts
  }

  listen(end: End, listener: Listener): void {
    this.#listeners[end] = listener
  }

  /** The process at this end is gone: nothing is heard there any more. */
  deafen(end: End): void {
    this.#listeners[end] = deaf
  }

  isOpen(end: End): boolean {
    return this.#isOpen[end]
  }

  send(from: End, text: string): void {
    if (!this.#isOpen[from]) return
    const { random, counts, trace, time } = this.#parts
    const faults = this.#parts.faults()
    const to = from === 'agent' ? 'controller' : 'agent'
    if (random.chance(faults.drop)) {
      counts.add('drop')
      trace.add(time.now, `lost ${this.#name(to)} ${text}`)
      return
    }
    this.#deliver(to, text)
    if (random.chance(faults.duplicate)) {
      counts.add('duplicate')
      this.#deliver(to, text)
    }
  }

  /** This end is closed at once; the other hears of it if it can be reached. */
  close(end: End): void {
    if (!this.#isOpen[end]) return
    this.#isOpen[end] = false
    const other = end === 'agent' ? 'controller' : 'agent'
    const { time, random } = this.#parts
    const arrivalAt = time.now + random.between(this.#parts.faults().latencyMs)
    time.at(Math.max(arrivalAt, this.#lastArrivalAt[other]), () => {
      if (this.#network.isCut(this.host)) return
      this.#end(other)
    })
  }

  breakOff(): void {
    this.#end('agent')
    this.#end('controller')
  }

  #end(end: End): void {
    if (!this.#isOpen[end]) return
    this.#isOpen[end] = false
    if (!this.#isOpen.agent && !this.#isOpen.controller) this.#network.forget(this)
    this.#listeners[end].closed()
  }

  #deliver(to: End, text: string): void {
    const { time, random, trace, counts } = this.#parts
    const faults = this.#parts.faults()
    let arrivalAt = time.now + random.between(faults.latencyMs)
    if (random.chance(faults.delay)) {
      counts.add('delay')
      arrivalAt += random.between(faults.delayMs)
    }
    if (random.chance(faults.reorder)) {
      counts.add('reorder')
      arrivalAt += random.between([1, 200])
    } else {
      arrivalAt = Math.max(arrivalAt, this.#lastArrivalAt[to])
      this.#lastArrivalAt[to] = arrivalAt
    }
    time.at(arrivalAt, () => {
      if (this.#network.isCut(this.host)) return
      const arrive = () => {
        trace.add(time.now, `${this.#name(to)} ${text}`)
        this.#listeners[to].frame(text)
      }
      if (!this.#network.keeps(this.host, to, arrive)) arrive()
    })
  }

  #name(to: End): string {
    return to === 'agent' ? `→ ${this.host}#${this.number}` : `← ${this.host}#${this.number}`
  }
}
