// Which agents are connected: one session a host, the newest. Finds out two agents that use one
// identity: both are refused from then on, until the host is removed.

import type { AuditHead } from '#shared/audit/audit-entry.ts'
import type { Clock } from '#shared/clock.ts'
import type { Desired } from '#shared/desired.ts'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import type { Report } from '#shared/report.ts'
import type { Hello, LogMessage } from '#shared/wire/messages.ts'
import type { EnrolledHost, HostApp } from '../store/host-store.ts'
import { AgentSession } from './agent-session.ts'
import type { Channel } from './channel.ts'

export interface RegistryPorts {
  clock: Clock
  report: (host: string, session: number, place: HostApp, report: Report) => Promise<void>
  closed: (host: EnrolledHost, session: number) => void
  output: (host: EnrolledHost, message: LogMessage) => Promise<void>
  contentToken: (host: string) => string
  pins: () => readonly string[]
  /** The newest entry of the audit trail; null before the first. */
  auditHead: () => AuditHead | null
  /** The host's newest session has said what it is. */
  introduced: (host: EnrolledHost, hello: Hello) => void
  onRefused: (host: EnrolledHost, error: LockstepError) => void
  /** Two agents were found to use the host's identity; said once. */
  cloned: (host: EnrolledHost) => void
}

/** How often silent sessions are looked for. */
const sweepEveryMs = 5000
/** Instances of a host that were replaced are remembered so far back. */
const replacedKept = 100
/**
 * No agent starts anew so often within this time, its old connection still open each time. Whoever does
 * would have the first of them forgotten, and could be in its place for good.
 */
const replacedKeptMs = 10 * 60_000

interface Replaced {
  readonly instance: string
  readonly at: number
}

export class SessionRegistry {
  readonly #ports: RegistryPorts
  readonly #sessions = new Map<string, AgentSession>()
  /** Connections that have not introduced themselves yet. */
  readonly #arriving = new Set<AgentSession>()
  readonly #replaced = new Map<string, readonly Replaced[]>()
  readonly #cloned: Set<string>
  #numbers = 0
  #cancelSweep: () => void = () => undefined
  #stopped = false

  /** @param cloned hosts whose identity was found to be used by two agents before */
  constructor(ports: RegistryPorts, cloned: Iterable<string> = []) {
    this.#ports = ports
    this.#cloned = new Set(cloned)
    this.#sweepLater()
  }

  /** A connection whose identity was proven at the upgrade. */
  accept(host: EnrolledHost, channel: Channel): AgentSession {
    this.#numbers += 1
    const session = new AgentSession(this.#numbers, host, channel, {
      clock: this.#ports.clock,
      greet: (greeted, hello) => this.#take(greeted, hello),
      report: (from, place, report) => this.#ports.report(from.host.id, from.number, place, report),
      output: (from, message) => this.#ports.output(from.host, message),
      contentToken: this.#ports.contentToken,
      pins: this.#ports.pins,
      auditHead: this.#ports.auditHead,
      ended: (ended) => this.#forget(ended),
      onRefused: (refused, error) => this.#ports.onRefused(refused.host, error),
    })
    const arriving = [...this.#arriving].filter(({ host: { id } }) => id === host.id)
    // Those of before are what a bad line has left.
    if (arriving.length >= limits.arrivingPerHostMax) arriving[0]?.replaced()
    this.#arriving.add(session)
    if (this.#stopped) session.stop()
    return session
  }

  /** The host's session, if it is connected. */
  of(host: string): AgentSession | null {
    return this.#sessions.get(host) ?? null
  }

  isCloned(host: string): boolean {
    return this.#cloned.has(host)
  }

  /**
   * Sent if this is still the host's session; otherwise it hears of it when it reports. A newer
   * session is told nothing before its own first report was checked.
   */
  tell(host: string, number: number, place: HostApp, desired: Desired): void {
    const session = this.#sessions.get(host)
    if (session?.number !== number || !session.serves(place)) return
    session.send({
      type: 'desired',
      app: place.app,
      environment: place.environment,
      ...desired,
      history: [...desired.history],
    })
  }

  /** A removed host is turned away at once, be it that it has not introduced itself yet. */
  remove(host: string): void {
    this.#replaced.delete(host)
    this.#cloned.delete(host)
    for (const session of [...this.#sessions.values(), ...this.#arriving]) {
      if (session.host.id !== host) continue
      session.refuse(
        new LockstepError('unknown-host', 'this host was removed from the controller', {
          hint: 'Join it again with a new token if that was a mistake.',
        }),
      )
    }
  }

  /** Ends every session, and each that comes after. */
  stop(): void {
    this.#stopped = true
    this.#cancelSweep()
    for (const session of [...this.#sessions.values(), ...this.#arriving]) session.stop()
  }

  #take(session: AgentSession, hello: Hello): void {
    const host = session.host.id
    if (this.#cloned.has(host)) throw clonedIdentity(session.host)
    const older = this.#sessions.get(host)
    // The hello of a process that is gone may come late: the newest connection is the one that stays.
    if (older !== undefined && older.number > session.number) return session.replaced()
    const replaced = this.#replaced.get(host) ?? []
    const isReplacing = older !== undefined && older.hello?.instance !== hello.instance
    const isBack = replaced.some(({ instance }) => instance === hello.instance)
    if (isReplacing && (isBack || this.#isCrowded(replaced))) {
      // Which of the two is the host, and which the copy, only people can find out.
      this.#cloned.add(host)
      this.#ports.cloned(session.host)
      older.refuse(clonedIdentity(session.host))
      throw clonedIdentity(session.host)
    }
    this.#arriving.delete(session)
    this.#sessions.set(host, session)
    this.#ports.introduced(session.host, hello)
    if (older === undefined) return
    const instance = older.hello?.instance
    if (instance !== undefined && instance !== hello.instance) {
      const at = this.#ports.clock.now()
      this.#replaced.set(host, [...replaced, { instance, at }].slice(-replacedKept))
    }
    older.replaced()
  }

  #isCrowded(replaced: readonly Replaced[]): boolean {
    const [oldest] = replaced.length < replacedKept ? [] : replaced
    return oldest !== undefined && this.#ports.clock.now() - oldest.at < replacedKeptMs
  }

  #forget(session: AgentSession): void {
    this.#arriving.delete(session)
    const { host, number } = session
    if (this.#sessions.get(host.id) === session) this.#sessions.delete(host.id)
    this.#ports.closed(host, number)
  }

  #sweepLater(): void {
    const { clock } = this.#ports
    this.#cancelSweep = clock.timer(clock.now() + sweepEveryMs, () => {
      for (const session of [...this.#sessions.values(), ...this.#arriving])
        session.sweep(clock.now())
      this.#sweepLater()
    })
  }
}

export function clonedIdentity({ name }: Pick<EnrolledHost, 'name'>): LockstepError {
  return new LockstepError(
    'cloned-identity',
    `two agents use the identity of ${name}: neither is let in`,
    {
      hint:
        `Stop both and remove identity.json from their state directories; ` +
        `\`lockstep hosts remove ${name}\`, then join each with a token and a name of its own.`,
    },
  )
}
