// One session of one agent: hello first, then reports and questions about the clock. Translates
// messages; decides nothing about rollouts.

import type { AuditHead } from '#shared/audit/audit-entry.ts'
import type { Clock } from '#shared/clock.ts'
import { isErrorCode, LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import type { Report } from '#shared/report.ts'
import { closeCodes } from '#shared/wire/close-codes.ts'
import { decodeUp } from '#shared/wire/codec.ts'
import {
  type Hello,
  type LogMessage,
  type ObservedMessage,
  protocolVersion,
  type UpMessage,
} from '#shared/wire/messages.ts'
import { RateLimit } from '../access/call-rates.ts'
import type { EnrolledHost, HostApp } from '../store/host-store.ts'
import type { Binding, Channel } from './channel.ts'

export interface SessionPorts {
  clock: Clock
  /** Takes the session over from an older one. @throws LockstepError `cloned-identity` */
  greet: (session: AgentSession, hello: Hello) => void
  report: (session: AgentSession, place: HostApp, report: Report) => Promise<void>
  /** A hook of the host has said something. */
  output: (session: AgentSession, message: LogMessage) => Promise<void>
  contentToken: (host: string) => string
  /** Of the controller's key; told with every token. */
  pins: () => readonly string[]
  /** The newest entry of the audit trail; null before the first. */
  auditHead: () => AuditHead | null
  ended: (session: AgentSession) => void
  /** A peer that broke the protocol was turned away. */
  onRefused: (session: AgentSession, error: LockstepError) => void
}

/** A peer that breaks the protocol is of another version, or no agent of ours. */
const brokenProtocolHint =
  'Compare the versions of agent and controller; docs/protocol.md describes every message.'

export class AgentSession {
  /** Grows with every session of this process. */
  readonly number: number
  readonly host: EnrolledHost
  readonly #channel: Channel
  readonly #ports: SessionPorts
  #hello: Hello | null = null
  #pins: readonly string[] = []
  #heardAt: number
  #tokenAt = 0
  #pinsTold = ''
  #over = false
  /** Messages that are being taken in. */
  #pending = 0
  readonly #pace: RateLimit

  constructor(number: number, host: EnrolledHost, channel: Channel, ports: SessionPorts) {
    this.number = number
    this.host = host
    this.#channel = channel
    this.#ports = ports
    this.#heardAt = ports.clock.now()
    const { messagesBurst: burst, messagesPerSecond: perSecond } = limits
    this.#pace = new RateLimit(ports.clock, { burst, perSecond })
  }

  /** Null until the agent has introduced itself. */
  get hello(): Hello | null {
    return this.#hello
  }

  /** What the agent has stored of the controller's pins. */
  get pins(): readonly string[] {
    return this.#pins
  }

  get binding(): Binding {
    return this.#channel.binding
  }

  get heardAt(): number {
    return this.#heardAt
  }

  serves(place: HostApp): boolean {
    return (
      this.#hello?.apps.some((a) => a.app === place.app && a.environment === place.environment) ===
      true
    )
  }

  send(message: Parameters<Channel['send']>[0]): void {
    if (!this.#over) this.#channel.send(message)
  }

  /** One frame, in the order of arrival. */
  async receive(frame: string): Promise<void> {
    if (this.#over) return
    this.#heardAt = this.#ports.clock.now()
    this.#pending += 1
    try {
      this.#checkPace()
      await this.#handle(decodeUp(frame))
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error
      this.refuse(error)
    } finally {
      this.#pending -= 1
    }
  }

  /** The connection is gone, by whomever. */
  closed(): void {
    if (this.#over) return
    this.#over = true
    this.#ports.ended(this)
  }

  /** Another session took over: nothing more is read or sent. */
  replaced(): void {
    this.#end(closeCodes.replaced, 'a newer connection of this agent took over')
  }

  refuse(error: LockstepError): void {
    this.#ports.onRefused(this, error)
    const { code, hint = brokenProtocolHint } = error
    const message = shortened(error.message)
    this.send({ type: 'refused', code, message, hint: shortened(hint) })
    this.#end(closeCodes.refused, code)
  }

  /** Ends a session that said nothing for too long, or never introduced itself. */
  sweep(at: number): void {
    const patienceMs = this.#hello === null ? limits.helloDeadlineMs : limits.silenceMaxMs
    if (at - this.#heardAt > patienceMs) this.#end(closeCodes.silent, 'nothing was heard')
  }

  stop(): void {
    this.#end(closeCodes.stopping, 'the controller is stopping')
  }

  #end(code: number, reason: string): void {
    if (this.#over) return
    this.#channel.close(code, reason)
    this.closed()
  }

  async #handle(message: UpMessage): Promise<void> {
    switch (message.type) {
      case 'hello':
        this.#introduce(message)
        return
      case 'observed':
        await this.#observe(message)
        return
      case 'clock':
        this.#tellClock(message.sentAt)
        return
      case 'pinned':
        if (this.#hello === null) throw new LockstepError('bad-message', 'pins before hello')
        this.#pins = message.pins
        return
      case 'log':
        this.#checkServes(message)
        await this.#ports.output(this, message)
        return
    }
  }

  /** Every message may cost a write: an agent that floods must not hold up the others. */
  #checkPace(): void {
    const waitMs = this.#pace.take('')
    if (waitMs === 0 && this.#pending <= limits.messagesPendingMax) return
    throw new LockstepError('too-many-requests', 'the agent says more than can be taken in', {
      hint: 'It connects again by itself; if it lasts, look at what its hooks say.',
    })
  }

  #introduce(hello: Hello): void {
    if (this.#hello !== null) throw new LockstepError('bad-message', 'a second hello')
    if (hello.protocol !== protocolVersion) {
      throw new LockstepError(
        'protocol-version',
        `the agent speaks protocol ${hello.protocol}, this controller ${protocolVersion}`,
        { hint: 'Upgrade the older of the two.' },
      )
    }
    const stranger = hello.apps.find((wanted) => !enrolledFor(this.host, wanted))
    if (stranger !== undefined) {
      throw new LockstepError(
        'join-not-allowed',
        `${this.host.name} is not enrolled for ${stranger.app} in ${stranger.environment}`,
        { hint: 'Join again with a token that names this app and environment.' },
      )
    }
    this.#hello = hello
    this.#ports.greet(this, hello)
    this.#sendToken()
  }

  async #observe(message: ObservedMessage): Promise<void> {
    const { type: _, app, environment, ...report } = message
    const place = { app, environment }
    this.#checkServes(place)
    await this.#ports.report(this, place, { ...report, failure: failureOf(message) })
  }

  #checkServes(place: HostApp): void {
    if (this.serves(place)) return
    const what = `${place.app} in ${place.environment}`
    throw new LockstepError('bad-message', `a report of ${what} without hello`)
  }

  #tellClock(sentAt: number): void {
    if (this.#hello === null) throw new LockstepError('bad-message', 'the clock asked before hello')
    const at = this.#ports.clock.now()
    this.send({ type: 'clock', sentAt, at })
    const isChanged = this.#pinsTold !== this.#ports.pins().join()
    if (isChanged || at - this.#tokenAt > limits.contentTokenMs / 2) this.#sendToken()
  }

  #sendToken(): void {
    this.#tokenAt = this.#ports.clock.now()
    const contentToken = this.#ports.contentToken(this.host.id)
    const pins = [...this.#ports.pins()]
    this.#pinsTold = pins.join()
    const head = this.#ports.auditHead()
    const audit = head === null ? {} : { audit: head }
    this.send({ type: 'welcome', contentToken, pins, ...audit })
  }
}

/** What is said of a peer's fault may quote the peer, and has to fit into a message. */
function shortened(text: string): string {
  return text.slice(0, limits.messageTextCharsMax)
}

function enrolledFor(host: EnrolledHost, wanted: HostApp): boolean {
  return host.apps.some((a) => a.app === wanted.app && a.environment === wanted.environment)
}

/** A code of a newer agent that this controller does not know is shown as what it is: a failure. */
function failureOf(message: ObservedMessage): Report['failure'] {
  const { failure } = message
  if (failure === null) return null
  const code = isErrorCode(failure.code) ? failure.code : 'internal'
  return { ...failure, code }
}
