// The one connection to the controller: dialled out, signed, kept, and dialled again with full
// jitter. Carries messages and the clock; decides nothing about releases.

import { setTimeout as sleep } from 'node:timers/promises'
import { Value } from 'typebox/value'
import { WebSocket } from 'ws'
import { ChallengeAnswer } from '#shared/api/schemas.ts'
import { backoffDelayMs } from '#shared/backoff.ts'
import type { Clock } from '#shared/clock.ts'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { formatUpgradeAuthorization, upgradeBytes } from '#shared/wire/challenge.ts'
import { decodeDown, encode } from '#shared/wire/codec.ts'
import {
  type ClockTold,
  type DesiredMessage,
  type DownMessage,
  protocolVersion,
  type UpMessage,
} from '#shared/wire/messages.ts'
import { type ClockOffset, type ClockSample, clockOffset, withSample } from './clock-offset.ts'
import type { Identity, Place } from './identity.ts'
import { refusalOf, requestJson } from './json-request.ts'

export interface LinkPorts {
  controllerUrl: string
  identity: Identity
  agentVersion: string
  /** Drawn at the start of the process, 32 hexadecimal digits. */
  instance: string
  apps: readonly Place[]
  clock: Clock
  random: () => number
  onOpened: (session: number) => void
  onClosed: (session: number) => void
  onDesired: (session: number, message: DesiredMessage) => void
  /** The time of the regular reports. */
  onReportDue: () => void
  /** A connection that could not be made, was refused or broke off, with what comes next. */
  onTrouble: (error: LockstepError, retryInMs: number) => void
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
    if (socket.bufferedAmount > limits.sendBufferBytesMax) socket.terminate()
    else socket.send(encode(message))
  }

  /** Keeps one session open until `stop`. */
  async run(): Promise<void> {
    let failures = 0
    while (!this.#stopping.signal.aborted) {
      const outcome = await this.#serveOnce()
      failures = outcome.welcomed ? 0 : failures + 1
      if (this.#stopping.signal.aborted) return
      const bounds = { minMs: limits.reconnectMinMs, maxMs: limits.reconnectMaxMs }
      const delayMs = backoffDelayMs(failures, this.#ports.random(), bounds)
      this.#ports.onTrouble(outcome.error, delayMs)
      await this.#pause(delayMs)
    }
  }

  stop(): void {
    this.#stopping.abort()
    this.#socket?.close(1000)
  }

  async #pause(delayMs: number): Promise<void> {
    try {
      await sleep(delayMs, undefined, { signal: this.#stopping.signal })
    } catch (error) {
      if (!this.#stopping.signal.aborted) throw error
    }
  }

  /** One connection from the dial to its end. */
  async #serveOnce(): Promise<{ welcomed: boolean; error: LockstepError }> {
    try {
      const socket = await this.#dial()
      return await this.#hold(socket)
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error
      return { welcomed: false, error }
    }
  }

  /** @throws LockstepError `unreachable` or why the controller refused. */
  async #dial(): Promise<WebSocket> {
    const { controllerUrl, identity } = this.#ports
    const path = '/v1/agent/challenge'
    const answer = await requestJson(controllerUrl, { method: 'GET', path })
    if (!Value.Check(ChallengeAnswer, answer)) {
      throw new LockstepError('unreachable', `${controllerUrl} is no Lockstep controller`)
    }
    const { nonce, controller } = answer
    if (controller !== identity.controller) {
      throw new LockstepError(
        'unreachable',
        `${controllerUrl} is another controller than we joined`,
        {
          hint: 'Look at `controller` in agent.toml, or join this one with a token of its own.',
        },
      )
    }
    const { host } = identity
    const signature = identity.sign(upgradeBytes(controller, host, nonce))
    const socket = new WebSocket(`${controllerUrl.replace(/^http/, 'ws')}/v1/agent`, {
      headers: { authorization: formatUpgradeAuthorization({ host, nonce, signature }) },
      maxPayload: limits.messageBytesMax,
      perMessageDeflate: false,
      handshakeTimeout: limits.silenceMaxMs,
      followRedirects: false,
    })
    return opened(socket, controllerUrl)
  }

  /** Resolves when the connection has ended. */
  async #hold(socket: WebSocket): Promise<{ welcomed: boolean; error: LockstepError }> {
    const { promise: closed, resolve } = Promise.withResolvers<{ code: number; reason: string }>()
    let refusal: LockstepError | null = null
    let welcomed = false
    socket.on('message', (data: Buffer, isBinary) => {
      this.#heardAt = this.#ports.clock.now()
      const message = isBinary ? null : read(data.toString('utf8'))
      if (message === null) return socket.close(4400, 'bad-message')
      if (message.type === 'refused') refusal = refusalOf(message)
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
    return { welcomed, error }
  }

  #begin(socket: WebSocket): void {
    const { agentVersion, instance, apps } = this.#ports
    this.#socket = socket
    this.#session += 1
    this.#seq = 0
    this.#samples = []
    this.#heardAt = this.#ports.clock.now()
    this.send({ type: 'hello', protocol: protocolVersion, agentVersion, instance, apps: [...apps] })
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

/** @throws LockstepError with the controller's own words where it answered without upgrading. */
async function opened(socket: WebSocket, controllerUrl: string): Promise<WebSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<WebSocket>()
  socket.once('open', () => resolve(socket))
  socket.once('error', (error) =>
    reject(
      new LockstepError('unreachable', `cannot connect to ${controllerUrl}: ${error.message}`, {
        cause: error,
      }),
    ),
  )
  socket.once('unexpected-response', (_request, response) => {
    let body = ''
    response.setEncoding('utf8')
    response.on('data', (text: string) => {
      body = `${body}${text}`.slice(0, limits.messageBytesMax)
    })
    response.once('close', () => {
      reject(
        refusalOf(parsed(body)) ??
          new LockstepError('unreachable', `${controllerUrl} answered ${response.statusCode}`),
      )
      socket.terminate()
    })
  })
  return promise
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}
