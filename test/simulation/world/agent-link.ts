// An agent's side of the channel: connects, says hello, reports, asks for the clock, comes back.

import { backoffDelayMs } from '#shared/backoff.ts'
import { limits } from '#shared/limits.ts'
import type { Observed } from '#shared/activation/observe.ts'
import { decodeDown, encode } from '#shared/wire/codec.ts'
import { protocolVersion, type UpMessage } from '#shared/wire/messages.ts'
import type { ControllerClock } from '#agent/runtime/ports.ts'
import type { AppRunner } from '#agent/runtime/app-runner.ts'
import type { Random } from '../kernel/random.ts'
import type { ProcessClock } from '../kernel/virtual-time.ts'
import { place } from './memory-store.ts'
import type { Connection } from './network.ts'

export interface LinkPorts {
  clock: ProcessClock
  random: Random
  instance: string
  /** Null when the controller cannot be reached. */
  connect: () => Connection | null
  onSent: (message: UpMessage) => void
  onRefused: (code: string) => void
}

export class AgentLink {
  readonly #ports: LinkPorts
  #runner: AppRunner | null = null
  #connection: Connection | null = null
  #session = 0
  #seq = 0
  #attempt = 0
  #heardAt = 0
  #best: { roundTripMs: number; offsetMs: number } | null = null

  constructor(ports: LinkPorts) {
    this.#ports = ports
  }

  get isConnected(): boolean {
    return this.#connection !== null
  }

  start(runner: AppRunner): void {
    this.#runner = runner
    this.#connectLater(0)
    this.#lookLater()
  }

  /** The process is gone; its socket is closed by the system, unless the whole host is gone. */
  stop(isClosed: boolean): void {
    this.#connection?.deafen('agent')
    if (isClosed) this.#connection?.close('agent')
    this.#connection = null
  }

  readonly controllerClock: ControllerClock = {
    toController: (at) => this.#translated(at, 1),
    toLocal: (at) => this.#translated(at, -1),
  }

  report(observed: Observed): void {
    this.#seq += 1
    const best = this.#best
    const clock =
      best === null ? null : { roundTripMs: best.roundTripMs, errorMs: best.roundTripMs / 2 }
    this.#send({ type: 'observed', ...place, seq: this.#seq, clock, ...observed })
  }

  #translated(at: number, sign: 1 | -1): { at: number; errorMs: number } | null {
    const best = this.#best
    if (best === null) return null
    return { at: at + sign * best.offsetMs, errorMs: best.roundTripMs / 2 }
  }

  #send(message: UpMessage): void {
    if (this.#connection === null) return
    this.#ports.onSent(message)
    this.#connection.send('agent', encode(message))
  }

  #connectLater(delayMs: number): void {
    const { clock } = this.#ports
    clock.timer(clock.now() + delayMs, () => this.#connect())
  }

  #connect(): void {
    const { connect, clock, instance } = this.#ports
    const connection = connect()
    if (connection === null) {
      const bounds = { minMs: limits.reconnectMinMs, maxMs: limits.reconnectMaxMs }
      const delayMs = backoffDelayMs(this.#attempt, this.#ports.random.next(), bounds)
      this.#attempt += 1
      this.#connectLater(delayMs)
      return
    }
    this.#session += 1
    const session = this.#session
    this.#attempt = 0
    this.#connection = connection
    this.#seq = 0
    this.#best = null
    this.#heardAt = clock.now()
    connection.listen('agent', {
      frame: (text) => this.#hear(session, text),
      closed: () => this.#ended(session),
    })
    this.#send({
      type: 'hello',
      protocol: protocolVersion,
      agentVersion: '0.0.1',
      instance,
      apps: [place],
      labels: {},
    })
    this.#askClock()
    this.#runner?.openSession(session)
  }

  /**
   * Frames of an old session still arrive here, as from a socket that was not read to its end: that
   * they are not acted on is the machine's rule.
   */
  #hear(session: number, text: string): void {
    const { clock, onRefused } = this.#ports
    const message = decodeDown(text)
    if (session === this.#session) this.#heardAt = clock.now()
    switch (message.type) {
      case 'desired': {
        const { type: _, app: __, environment: ___, ...desired } = message
        this.#runner?.receive(session, desired)
        return
      }
      case 'clock':
        if (session === this.#session) this.#measure(message.sentAt, message.at)
        return
      case 'refused':
        onRefused(message.code)
        return
      case 'welcome':
        return
    }
  }

  #measure(sentAt: number, at: number): void {
    const now = this.#ports.clock.now()
    const roundTripMs = now - sentAt
    if (this.#best !== null && this.#best.roundTripMs <= roundTripMs) return
    this.#best = { roundTripMs, offsetMs: at + roundTripMs / 2 - now }
  }

  #askClock(): void {
    this.#send({ type: 'clock', sentAt: this.#ports.clock.now() })
  }

  #lookLater(): void {
    const { clock } = this.#ports
    clock.timer(clock.now() + limits.reportEveryMs, () => {
      this.#lookLater()
      const connection = this.#connection
      if (connection === null) return
      if (clock.now() - this.#heardAt > limits.silenceMaxMs) {
        connection.close('agent')
        this.#ended(this.#session)
        return
      }
      this.#askClock()
      void this.#runner?.look()
    })
  }

  #ended(session: number): void {
    if (session !== this.#session || this.#connection === null) return
    this.#connection = null
    this.#best = null
    this.#runner?.closeSession(session)
    this.#connectLater(this.#ports.random.between([0, limits.reconnectMinMs]))
  }
}
