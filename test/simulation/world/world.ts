// A whole fleet in virtual time: hosts, network, controller, operator, and the oracle that looks on.
// Scenarios and random schedules are scripts against this.

import { limits } from '#shared/limits.ts'
import type { Fact } from '#shared/environment/events.ts'
import { type Declares, declaresNothing } from '#shared/report.ts'
import type { DownMessage } from '#shared/wire/messages.ts'
import type { EnvironmentSave } from '#controller/runtime/environment-store.ts'
import { Random } from '../kernel/random.ts'
import { Trace } from '../kernel/trace.ts'
import { VirtualTime } from '../kernel/virtual-time.ts'
import { EndWatch } from '../oracle/end-watch.ts'
import { Oracle } from '../oracle/oracle.ts'
import { require, Violation } from '../oracle/violation.ts'
import { AgentHost } from './agent-host.ts'
import { calm, Counts, type Faults } from './faults.ts'
import { MemoryStore } from './memory-store.ts'
import { type Connection, Network } from './network.ts'
import { Operator } from './operator.ts'
import { SimController } from './sim-controller.ts'
import { Tally } from './tally.ts'
import type { OnceMoment } from './virtual-steps.ts'

export interface WorldOptions {
  seed: number
  faults?: Faults
  /** How many releases a host keeps. */
  keep?: number
  print?: ((line: string) => void) | null
}

export class World {
  readonly time = new VirtualTime()
  readonly counts = new Counts()
  readonly trace: Trace
  readonly random: Random
  readonly network: Network
  readonly store: MemoryStore
  readonly controller: SimController
  readonly operator: Operator
  readonly oracle: Oracle
  faults: Faults
  /** Called with every fact, once it is durable. */
  onRecorded: (fact: Fact) => void = () => undefined
  /** Called with every swap, and the version or the link that `current` is about to be. */
  onSwapped: (host: AgentHost, to: string) => void = () => undefined
  /** Called with every moment of a once run's own process. */
  onOnce: (host: AgentHost, what: OnceMoment) => void = () => undefined
  readonly #ends: EndWatch
  readonly #tally: Tally
  readonly #keep: number
  readonly #hosts = new Map<string, AgentHost>()
  #failure: Error | null = null

  constructor({ seed, faults = calm, keep = 5, print = null }: WorldOptions) {
    this.random = new Random(seed)
    this.trace = new Trace(print)
    this.faults = faults
    this.#keep = keep
    this.#tally = new Tally(this.counts)
    const { time, counts, trace } = this
    const parts = { time, counts, trace, faults: () => this.faults }
    this.network = new Network({ ...parts, random: this.random.fork() })
    this.oracle = new Oracle({
      nowMs: () => time.now,
      hosts: () => this.hosts,
      epochMs: () => this.controller.epochMs,
      isForced: (rollout) => this.operator.isForced(rollout),
    })
    this.store = new MemoryStore({
      random: this.random.fork(),
      faults: () => this.faults,
      onDurable: (save) => this.#guard(() => this.#saved(save)),
      crash: (saved, save) => {
        if (saved === 'lost') this.#tally.unsaved(save)
        counts.add(saved === 'lost' ? 'save lost in a crash' : 'save kept in a crash')
        this.controller.crash(this.random.between([100, 4000]))
      },
      onFailure: () => this.#ends.failed(),
    })
    this.controller = new SimController({
      time,
      trace,
      counts,
      random: this.random.fork(),
      store: this.store,
      onGone: () => this.#crashed('controller', null),
      onHeard: (host, report) => this.oracle.heard(host, report),
      onTold: (host, session, message) => this.#guard(() => this.#told(host, session, message)),
    })
    this.operator = new Operator({
      time,
      trace,
      controller: this.controller,
      store: this.store,
      onAsk: (what) => {
        this.oracle.asks(what)
        if (what === 'continue' || what === 'pause') this.#ends.wasMoved()
      },
      onAnswer: (what, outcome) => this.oracle.answered(what, outcome),
    })
    this.#ends = new EndWatch({
      isUp: () => this.controller.isUp,
      record: () => this.store.record,
      nowMs: () => time.now,
      declaredMs: () => Math.max(0, ...this.hosts.map(({ steps }) => declaredMsOf(steps.declares))),
    })
    time.onStep(() => this.#guard(() => this.#look()))
    this.controller.start()
  }

  get hosts(): readonly AgentHost[] {
    return [...this.#hosts.values()]
  }

  /** What was broken first; null while nothing is. */
  get failure(): Error | null {
    return this.#failure
  }

  /** Anything that a process threw and nobody caught is a failure of the schedule. */
  fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error))
  }

  host(name: string): AgentHost {
    const host = this.#hosts.get(name)
    if (host === undefined) throw new Error(`no host is called ${name}`)
    return host
  }

  /** A new host that is not enrolled yet, switched on. `link` is what `current` is before. */
  addHost(name: string, link: string | null, declares = declaresNothing): AgentHost {
    const { time, counts, trace } = this
    const host = new AgentHost(name, link, {
      time,
      counts,
      trace,
      random: this.random.fork(),
      faults: () => this.faults,
      keep: this.#keep,
      connect: () => this.#connect(host),
      canFetch: () => this.controller.isUp && !this.network.isCut(host.id),
      watch: {
        swapped: (of, target) => {
          this.#guard(() => this.oracle.swapped(of, target))
          this.onSwapped(of, target.kind === 'link' ? target.link : target.release.version)
        },
        journalled: (of, before, after) =>
          this.#guard(() => this.oracle.journalled(of, before, after)),
        removed: (of, release) => this.#guard(() => this.oracle.removes(of, release)),
        crashed: (of) => this.#crashed('agent', of),
        once: (of, what, run) =>
          this.#guard(() => {
            this.oracle.once.happened(of, what, run)
            this.onOnce(of, what)
          }),
        sent: (of, message) => this.#guard(() => this.oracle.sent(of, message)),
      },
    })
    host.steps.declares = declares
    this.#hosts.set(name, host)
    host.start()
    return host
  }

  /** Enrols the host; asked again until the controller has taken it. */
  join(name: string): void {
    const host = this.host(name)
    if (this.store.record.members[host.id] !== undefined) return
    if (this.controller.isUp) {
      this.counts.add('join')
      void this.controller.enrol(host.id, name)
    }
    this.time.after(1000, () => this.join(name))
  }

  /** Takes the host out; asked again until the controller is there to be asked. */
  remove(name: string): void {
    if (!this.controller.isUp) {
      this.time.after(500, () => this.remove(name))
      return
    }
    this.counts.add('removal')
    this.trace.add(this.time.now, `${name} is removed`)
    this.controller.expel(this.host(name).id)
  }

  drift(name: string, link: string): void {
    const host = this.host(name)
    this.trace.add(this.time.now, `${name} drifts to ${link}`)
    this.oracle.drifts(host)
    host.disk.drift(link)
  }

  tamper(name: string): void {
    const host = this.host(name)
    this.trace.add(this.time.now, `files of ${name} are changed`)
    this.oracle.drifts(host)
    host.disk.tamper()
  }

  /** For a while a directory stands at `current`, or the disk fails. */
  obstruct(name: string, obstacle: 'directory' | 'unreadable', forMs: number): void {
    const host = this.host(name)
    this.trace.add(this.time.now, `${name}: ${obstacle}`)
    this.oracle.drifts(host)
    host.disk.obstruct(obstacle)
    this.time.after(forMs, () => host.disk.obstruct(null))
  }

  /** The controller's machine gets another time, and the controller starts anew. */
  setClock(byMs: number): void {
    this.trace.add(this.time.now, `the clock is set by ${byMs}`)
    this.controller.setClock(byMs)
    this.#ends.clockWasSet()
    this.oracle.clockWasSet()
    this.controller.crash(100)
  }

  /** Puts back what the store held when the backup was taken, and starts the controller on it. */
  restore(backup: ReturnType<MemoryStore['backup']>): void {
    this.counts.add('restore')
    this.trace.add(this.time.now, 'the store is restored')
    this.controller.halt()
    this.store.restore(backup)
    this.oracle.restored()
    this.#ends.restored()
    this.controller.start()
  }

  get isFenced(): boolean {
    return Object.keys(this.store.record.fencedBy).length > 0
  }

  async run(forMs: number): Promise<void> {
    await this.time.runUntil(this.time.now + forMs, () => this.#failure !== null)
    this.#throwFailure()
  }

  /** Runs until it holds, looking after everything that happens; false when it never did. */
  async until(holds: () => boolean, withinMs: number): Promise<boolean> {
    const until = this.time.now + withinMs
    await this.time.runUntil(until, () => this.#failure !== null || holds())
    this.#throwFailure()
    return holds()
  }

  /** Everything is mended: nothing fails, everybody is up and can be reached. */
  heal(): void {
    this.faults = calm
    this.controller.start()
    for (const host of this.hosts) {
      this.network.heal(host.id)
      host.disk.obstruct(null)
      host.steps.mend()
      host.start()
    }
  }

  /** Every rollout comes to its end, and then every host to what its environment runs. */
  async settle(): Promise<void> {
    const isQuiet = () =>
      this.controller.isUp && !this.isFenced && this.operator.openRollout === null
    const ended = await this.until(isQuiet, endsWithinMs)
    const open = this.operator.openRollout
    require(ended, 'always an end', `${open?.id ?? 'the controller'} is ${open?.phase ?? 'down'}`)
    const astray = () =>
      this.hosts.map((host) => this.oracle.astray(host, this.store.record)).find((a) => a !== null)
    const converged = await this.until(() => astray() === undefined, convergesWithinMs)
    require(converged, 'convergence', astray() ?? '')
  }

  #connect(host: AgentHost): Connection | null {
    if (this.network.isCut(host.id)) return null
    const connection = this.network.connect(host.id)
    if (this.controller.accept(connection)) return connection
    this.network.forget(connection)
    return null
  }

  #saved(save: EnvironmentSave): void {
    for (const fact of save.facts) {
      this.#count(fact)
      this.onRecorded(fact)
    }
    this.oracle.saved(save)
    this.#ends.saved(save)
  }

  #crashed(who: 'agent' | 'controller', host: AgentHost | null): void {
    const { present } = this.oracle.once
    if (present === null || (host !== null && present.host !== host.id)) return
    this.#tally.crashed(who, present.stage)
  }

  #told(host: string, session: number, message: DownMessage): void {
    if (message.type === 'desired') this.oracle.told(host, message)
    const view = this.controller.runner?.state.sessions[host]
    const isChecked = view?.session === session && view.open
    const what = `${host} is told in session ${session} before its first report: ${message.type}`
    require(isChecked, 'a rule of the protocol', what)
  }

  #look(): void {
    this.oracle.look()
    this.#ends.look()
  }

  #count(fact: Fact): void {
    const { time, trace } = this
    const what = 'rollout' in fact ? `${fact.rollout.id} ${fact.rollout.phase}` : ''
    trace.add(time.now, `recorded ${fact.type} ${what}`)
    this.#tally.fact(fact)
  }

  #guard(check: () => void): void {
    try {
      check()
    } catch (error) {
      if (!(error instanceof Violation)) throw error
      this.fail(error)
    }
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure
  }
}

/** Three waves, each with a pause of an hour after it: what is late is found by its own deadline. */
const endsWithinMs = 4 * limits.pauseDeadlineMs
/** A reconnect, a retry of a stage and the stage itself, with the longest pauses between them. */
const convergesWithinMs = 4 * 60_000

function declaredMsOf({ gateMs, activationMs, onceMs }: Declares): number {
  return gateMs + activationMs + onceMs
}
