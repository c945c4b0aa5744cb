// The controller's process: the real sessions and the real environments over the store that stays.

import type { Report } from '#shared/report.ts'
import { encode } from '#shared/wire/codec.ts'
import type { DownMessage } from '#shared/wire/messages.ts'
import type { EnvironmentRunner } from '#controller/runtime/environment-runner.ts'
import { Environments } from '#controller/runtime/environments.ts'
import { SessionRegistry } from '#controller/sessions/session-registry.ts'
import type { EnrolledHost } from '#controller/store/host-store.ts'
import type { Random } from '../kernel/random.ts'
import type { Trace } from '../kernel/trace.ts'
import { ProcessClock, type VirtualTime } from '../kernel/virtual-time.ts'
import type { Counts } from './faults.ts'
import { type MemoryStore, place } from './memory-store.ts'
import type { Connection } from './network.ts'

export interface ControllerPorts {
  time: VirtualTime
  random: Random
  trace: Trace
  counts: Counts
  store: MemoryStore
  /** The process is gone. */
  onGone: () => void
  /** A report has arrived, whatever becomes of it. */
  onHeard: (host: string, report: Report) => void
  /** About to be sent to the host, in the session of this number. */
  onTold: (host: string, session: number, message: DownMessage) => void
}

interface Process {
  readonly clock: ProcessClock
  readonly registry: SessionRegistry
  readonly connections: Set<Connection>
  environments: Environments | null
}

export class SimController {
  readonly #ports: ControllerPorts
  #process: Process | null = null
  #epochMs = 1_700_000_000_000
  #clockStepMs = 0

  constructor(ports: ControllerPorts) {
    this.#ports = ports
  }

  get isUp(): boolean {
    return this.#process?.environments !== null && this.#process !== null
  }

  /** Epoch milliseconds of when the world began, by the clock of the last process. */
  get epochMs(): number {
    return this.#epochMs
  }

  /** The clock of the machine is set: the next process starts with it, this one does not see it. */
  setClock(byMs: number): void {
    this.#clockStepMs += byMs
    this.#ports.counts.add('clock step')
  }

  /** Null while the controller is down or still starting. */
  get runner(): EnvironmentRunner | null {
    return this.#process?.environments?.of(place) ?? null
  }

  start(): void {
    if (this.#process !== null) return
    this.#note('starts')
    const { time } = this.#ports
    this.#epochMs += this.#clockStepMs
    this.#clockStepMs = 0
    const clock = new ProcessClock(time, this.#epochMs)
    const registry = new SessionRegistry({
      clock,
      report: async (host, session, where, report) => {
        this.#ports.onHeard(host, report)
        await process.environments?.of(where)?.report(host, session, report)
      },
      closed: (host, session) => {
        for (const where of host.apps) {
          process.environments?.of(where)?.closeSession(host.id, session)
        }
      },
      output: async () => undefined,
      contentToken: () => 'token',
      pins: () => [],
      auditHead: () => null,
      introduced: () => undefined,
      cloned: (host) => {
        throw new Error(`two agents use the identity of ${host.name}`)
      },
      onRefused: (host, error) => this.#note(`refuses ${host.name}: ${error.message}`),
    })
    const process: Process = { clock, registry, connections: new Set(), environments: null }
    this.#process = process
    void this.#takeUp(process)
  }

  /** The process is gone at once, whatever it was doing; it starts again after `downMs`. */
  crash(downMs: number): void {
    const process = this.#process
    if (process === null) return
    this.#ports.counts.add('controller crash')
    this.#stop(process)
    this.#ports.time.after(downMs + 100, () => this.start())
  }

  /** Gone until it is started again: for a restore. */
  halt(): void {
    if (this.#process !== null) this.#stop(this.#process)
  }

  /** A connection of a host that has proven who it is; false when nobody is there to take it. */
  accept(connection: Connection): boolean {
    const process = this.#process
    const name = this.#ports.store.hosts[connection.host]
    if (process === null || process.environments === null || name === undefined) return false
    process.connections.add(connection)
    const session = process.registry.accept(enrolled(connection.host, name), {
      binding: 'plain',
      send: (message) => {
        if (message.type === 'desired') {
          this.#ports.onTold(connection.host, session.number, message)
        }
        connection.send('controller', encode(message))
      },
      close: () => connection.close('controller'),
    })
    connection.listen('controller', {
      frame: (text) => void session.receive(text),
      closed: () => session.closed(),
    })
    return true
  }

  async enrol(host: string, name: string): Promise<void> {
    this.#ports.store.enrol(host, name)
    await this.#process?.environments?.join(enrolled(host, name))
  }

  expel(host: string): void {
    this.#ports.store.expel(host)
    this.#process?.environments?.remove(host)
    this.#process?.registry.remove(host)
  }

  async #takeUp(process: Process): Promise<void> {
    try {
      await this.#open(process)
    } catch (error) {
      // It ends, and the service manager starts it again.
      this.#note(`could not start: ${String(error)}`)
      this.crash(1000)
    }
  }

  async #open(process: Process): Promise<void> {
    const { store } = this.#ports
    const hosts = Object.entries(store.hosts).map(([id, name]) => enrolled(id, name))
    const environments = await Environments.start(
      {
        store: store.handleFor(process.clock),
        clock: process.clock,
        tell: (host, session, where, desired) =>
          process.registry.tell(host, session, where, desired),
        onChange: () => undefined,
        onUnsaved: (_place, error) => this.#note(`could not save: ${String(error)}`),
        onConflict: () => this.crash(1000),
      },
      hosts,
    )
    if (!process.clock.isAlive) return
    await environments.open(place)
    process.environments = environments
  }

  #stop(process: Process): void {
    this.#note('is gone')
    this.#ports.onGone()
    this.#process = null
    process.clock.stop()
    process.environments?.stop()
    for (const connection of process.connections) {
      connection.deafen('controller')
      connection.close('controller')
    }
  }

  #note(what: string): void {
    this.#ports.trace.add(this.#ports.time.now, `controller ${what}`)
  }
}

function enrolled(id: string, name: string): EnrolledHost {
  return { id, name, publicKey: '', enrolledAt: 0, apps: [place] }
}
