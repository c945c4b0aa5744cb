// The one connection to the controller: dialled out, signed, kept, and dialled again with full
// jitter. Carries messages and the clock; decides nothing about releases.

import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import type { AuditHead } from '#shared/audit/audit-entry.ts'
import { backoffDelayMs } from '#shared/backoff.ts'
import type { Clock } from '#shared/clock.ts'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { withoutSecretText } from '#shared/secret-text.ts'
import { closeCodes } from '#shared/wire/close-codes.ts'
import { decodeDown, encode } from '#shared/wire/codec.ts'
import {
  type ClockTold,
  type DesiredMessage,
  type DownMessage,
  protocolVersion,
  type RefusedMessage,
  type UpMessage,
} from '#shared/wire/messages.ts'
import { type ClockOffset, type ClockSample, clockOffset, withSample } from './clock-offset.ts'
import type { ControllerChannel } from './controller-channel.ts'
import { dial } from './dial.ts'
import type { Identity, Place } from './identity.ts'
import { refusalOf } from './json-request.ts'

export interface LinkPorts {
  channel: ControllerChannel
  identity: Identity
  agentVersion: string
  /** Drawn at the start of the process, 32 hexadecimal digits. */
  instance: string
  /** What it serves, asked at the start of every session. */
  apps: () => readonly Place[]
  /** What the host's own configuration calls it. */
  labels: Readonly<Record<string, string>>
  clock: Clock
  random: () => number
  onOpened: (session: number) => void
  onClosed: (session: number) => void
  onDesired: (session: number, message: DesiredMessage) => void
  /** A pinned controller has said which keys are its own. @returns what is stored of them by now */
  onPins: (pins: readonly string[]) => Promise<readonly string[]>
  /** The newest entry of the controller's audit trail. */
  onAuditHead: (head: AuditHead) => void
  /** The time of the regular reports. */
  onReportDue: () => void
  /** A connection that could not be made, was refused or broke off, with what comes next. */
  onTrouble: (error: LockstepError, retryInMs: number) => void
}

/** How a connection ended, and whether the next one may come without waiting for longer. */
interface Ending {
  readonly isWelcome: boolean
  readonly error: LockstepError
}

/** Questions about the clock at the start of a session, so that the first swap is already timed. */
const firstClockQuestions = 5

export class ControllerLink {
  readonly #ports: LinkPorts
  readonly #stopping = new AbortController()
  #socket: WebSocket | null = null
  #session = 0
  #samples: readonly ClockSample[] = []
  #contentToken: string | null = null
  #heardAt = 0
  #cancelTick: () => void = () => undefined
  #seq = 0

  constructor(ports: LinkPorts) {
    this.#ports = ports
  }

  /** Of the present session, or of the last one; null before the first answer. */
  get offset(): ClockOffset | null {
    return clockOffset(this.#samples)
  }

  /** Null before the first session. */
  get contentToken(): string | null {
    return this.#contentToken
  }

  /** A number that grows with every report of a session. */
  nextSeq(): number {
    this.#seq += 1
    return this.#seq
  }

  /** Sent if a session is open: everything that is said is said again. */
  send(message: UpMessage): void {
    const socket = this.#socket
    if (socket === null || socket.readyState !== WebSocket.OPEN) return
    // What hooks say never stands in the way of what the host is.
    if (message.type === 'log' && socket.bufferedAmount > limits.messageBytesMax) return
    if (socket.bufferedAmount > limits.sendBufferBytesMax) socket.terminate()
    // A failure quotes what programs of the host said. Nothing that goes up has to hold a secret.
    else socket.send(withoutSecretText(encode(message)))
  }

  /** Keeps one session open until `stop`. */
  async run(): Promise<void> {
    let failures = 0
    while (!this.#stopping.signal.aborted) {
      const outcome = await this.#serveOnce()
      failures = outcome.isWelcome ? 0 : failures + 1
      if (this.#stopping.signal.aborted) return
      const bounds = { minMs: limits.reconnectMinMs, maxMs: limits.reconnectMaxMs }
      const delayMs = backoffDelayMs(failures, this.#ports.random(), bounds)
      this.#ports.onTrouble(outcome.error, delayMs)
      await this.#pause(delayMs)
    }
  }

  /** Begins another session if one is open: what the host serves has changed. */
  renew(): void {
    this.#socket?.close(closeCodes.done, 'serves other apps now')
  }

  stop(): void {
    this.#stopping.abort()
    this.#socket?.close(closeCodes.done)
  }

  async #pause(delayMs: number): Promise<void> {
    try {
      await sleep(delayMs, undefined, { signal: this.#stopping.signal })
    } catch (error) {
      if (!this.#stopping.signal.aborted) throw error
    }
  }

  /** One connection from the dial to its end. */
  async #serveOnce(): Promise<Ending> {
    try {
      const socket = await dial({ ...this.#ports, signal: this.#stopping.signal })
      return await this.#hold(socket)
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error
      this.#ports.channel.doubt()
      return { isWelcome: false, error }
    }
  }

  /** Resolves when the connection has ended. */
  async #hold(socket: WebSocket): Promise<Ending> {
    const { promise: closed, resolve } = Promise.withResolvers<{ code: number; reason: string }>()
    let refusal: LockstepError | null = null
    let welcomed = false
    socket.on('message', (data: Buffer, isBinary) => {
      // Whoever broke the protocol, or was told to go, is not listened to any more.
      if (socket.readyState !== WebSocket.OPEN) return
      this.#heardAt = this.#ports.clock.now()
      const message = isBinary ? null : read(data.toString('utf8'))
      if (message === null) {
        refusal = new LockstepError('bad-message', 'the controller sent what is no message', {
          hint: 'Upgrade the older of the two.',
        })
        return socket.close(closeCodes.refused, 'bad-message')
      }
      if (message.type === 'refused') refusal = refusedWith(message)
      if (message.type === 'welcome') welcomed = true
      this.#receive(message)
    })
    socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }))
    socket.on('error', () => undefined)
    this.#begin(socket)
    const { code, reason } = await closed
    this.#end()
    const error =
      refusal ?? new LockstepError('unreachable', `the connection ended (${code} ${reason})`.trim())
    // A welcome that ends like this would end so again at once.
    const isUnwanted = refusal !== null || code === closeCodes.replaced
    return { isWelcome: welcomed && !isUnwanted, error }
  }

  #begin(socket: WebSocket): void {
    const { agentVersion, instance, apps, labels } = this.#ports
    this.#socket = socket
    this.#session += 1
    this.#seq = 0
    this.#samples = []
    this.#heardAt = this.#ports.clock.now()
    this.send({
      type: 'hello',
      protocol: protocolVersion,
      agentVersion,
      instance,
      apps: [...apps()],
      labels: { ...labels },
    })
    this.#ports.onOpened(this.#session)
    for (let asked = 0; asked < firstClockQuestions; asked += 1) this.#askClock()
    this.#tickLater()
  }

  #end(): void {
    this.#cancelTick()
    this.#socket = null
    this.#ports.onClosed(this.#session)
  }

  #receive(message: DownMessage): void {
    switch (message.type) {
      case 'welcome':
        this.#contentToken = message.contentToken
        void this.#learnPins(message.pins)
        if (message.audit !== undefined) this.#ports.onAuditHead(message.audit)
        break
      case 'desired':
        this.#ports.onDesired(this.#session, message)
        break
      case 'clock':
        this.#learnClock(message)
        break
      case 'refused':
        break
    }
  }

  /** Only who has a pinned key may name the next one; what is stored is said, once it is. */
  async #learnPins(pins: readonly string[]): Promise<void> {
    if (!this.#ports.channel.isPinned || pins.length === 0) return
    const session = this.#session
    const stored = await this.#ports.onPins(pins)
    if (stored.length === 0 || session !== this.#session) return
    this.send({ type: 'pinned', pins: [...stored] })
  }

  /** With the first answer, reports can name instants: one is due at once. */
  #learnClock({ sentAt, at }: ClockTold): void {
    const isFirst = this.#samples.length === 0
    const sample = { sentAt, receivedAt: this.#ports.clock.now(), controllerAt: at }
    this.#samples = withSample(this.#samples, sample)
    if (isFirst) this.#ports.onReportDue()
  }

  #askClock(): void {
    this.send({ type: 'clock', sentAt: this.#ports.clock.now() })
  }

  #tickLater(): void {
    const { clock } = this.#ports
    this.#cancelTick = clock.timer(clock.now() + limits.reportEveryMs, () => {
      this.#tickLater()
      if (clock.now() - this.#heardAt > limits.silenceMaxMs) this.#socket?.terminate()
      this.#askClock()
      this.#ports.onReportDue()
    })
  }
}

/** Null for what is no message of ours. */
function read(frame: string): DownMessage | null {
  try {
    return decodeDown(frame)
  } catch (error) {
    if (error instanceof LockstepError) return null
    throw error
  }
}

/** A newer controller's code that is unknown here is said in its own words all the same. */
function refusedWith(message: RefusedMessage): LockstepError {
  const { hint } = message
  const known = refusalOf(message)
  if (known !== null) return known
  return new LockstepError('internal', message.message, hint === undefined ? {} : { hint })
}
