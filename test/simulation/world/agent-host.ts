// One host: a disk that stays, and an agent's process that comes and goes.

import type { Journal } from '#shared/activation/state.ts'
import type { SwapTarget } from '#shared/activation/events.ts'
import type { Release } from '#shared/release.ts'
import type { UpMessage } from '#shared/wire/messages.ts'
import { AppRunner } from '#agent/runtime/app-runner.ts'
import type { AppPorts } from '#agent/runtime/ports.ts'
import { trivialSteps } from '../../support/host-steps.ts'
import type { Random } from '../kernel/random.ts'
import type { Trace } from '../kernel/trace.ts'
import { ProcessClock, type VirtualTime } from '../kernel/virtual-time.ts'
import { AgentLink } from './agent-link.ts'
import type { Counts, Faults } from './faults.ts'
import type { Connection } from './network.ts'
import { VirtualDisk } from './virtual-disk.ts'
import { type OnceMoment, type OnceProcess, VirtualSteps } from './virtual-steps.ts'

export interface HostPorts {
  time: VirtualTime
  random: Random
  trace: Trace
  counts: Counts
  faults: () => Faults
  keep: number
  connect: () => Connection | null
  canFetch: () => boolean
  watch: HostWatcher
}

/** What an omniscient onlooker is told of every host. */
export interface HostWatcher {
  swapped: (host: AgentHost, target: SwapTarget) => void
  journalled: (host: AgentHost, before: Journal, after: Journal) => void
  removed: (host: AgentHost, release: Release) => void
  crashed: (host: AgentHost) => void
  /** Of its own processes, whether its agent lives or not. */
  once: (host: AgentHost, what: OnceMoment, run: OnceProcess) => void
  sent: (host: AgentHost, message: UpMessage) => void
}

interface Process {
  readonly clock: ProcessClock
  readonly link: AgentLink
  runner: AppRunner | null
}

export class AgentHost {
  readonly id: string
  readonly name: string
  readonly disk: VirtualDisk
  readonly steps: VirtualSteps
  readonly #ports: HostPorts
  #process: Process | null = null
  #starts = 0

  constructor(name: string, link: string | null, ports: HostPorts) {
    this.name = name
    this.id = `${name}-`.padEnd(26, '0')
    this.#ports = ports
    this.disk = new VirtualDisk(link, {
      random: ports.random,
      counts: ports.counts,
      faults: ports.faults,
      keep: ports.keep,
      canFetch: ports.canFetch,
      onSwap: (target) => {
        this.#note(`swaps to ${target.kind === 'link' ? target.link : target.release.version}`)
        ports.watch.swapped(this, target)
      },
      onJournal: (before, after) => ports.watch.journalled(this, before, after),
      onRemove: (release) => {
        this.#note(`removes ${release.version}`)
        ports.watch.removed(this, release)
      },
      crash: () => this.crash(0),
    })
    this.steps = new VirtualSteps({
      time: ports.time,
      random: ports.random,
      counts: ports.counts,
      faults: ports.faults,
      onOnce: (what, run) => {
        this.#note(`once ${what}`)
        ports.watch.once(this, what, run)
      },
    })
  }

  get isUp(): boolean {
    return this.#process !== null
  }

  get isConnected(): boolean {
    return this.#process?.link.isConnected === true
  }

  get runner(): AppRunner | null {
    return this.#process?.runner ?? null
  }

  start(): void {
    if (this.#process !== null) return
    this.#starts += 1
    this.#note('starts')
    const { time, random, watch } = this.#ports
    const clock = new ProcessClock(time, random.integer(0, 10_000_000))
    const link = new AgentLink({
      clock,
      random: random.fork(),
      instance: this.#starts.toString(16).padStart(32, '0'),
      connect: this.#ports.connect,
      onSent: (message) => watch.sent(this, message),
      onRefused: (code) => this.#note(`was refused: ${code}`),
    })
    const process: Process = { clock, link, runner: null }
    this.#process = process
    void this.#takeUp(process)
  }

  /** The process is gone at once, whatever it was doing; it starts again after `downMs`. */
  crash(
    downMs: number,
    hears: 'the controller hears of it' | 'nobody hears of it' = 'the controller hears of it',
  ): void {
    const process = this.#process
    if (process === null) return
    this.#ports.counts.add('agent crash')
    this.#note('crashes')
    this.#ports.watch.crashed(this)
    this.#process = null
    process.clock.stop()
    process.runner?.stop()
    process.link.stop(hears === 'the controller hears of it')
    this.steps.agentDied()
    this.#ports.time.after(downMs + 100, () => this.start())
  }

  async #takeUp(process: Process): Promise<void> {
    const { disk } = this
    const from = { journal: disk.journal, disk: disk.disk, serving: disk.serving }
    const runner = await AppRunner.start(this.#portsOf(process), from)
    if (!process.clock.isAlive) return
    process.runner = runner
    process.link.start(runner)
  }

  #portsOf({ clock, link }: Process): AppPorts {
    const { random } = this.#ports
    return {
      journal: this.disk.journalFor(clock),
      disk: this.disk.diskFor(clock),
      ...trivialSteps,
      ...this.steps.portsFor(clock),
      steps: () => this.disk.reload(clock),
      declares: this.steps.declares,
      clock,
      controllerClock: link.controllerClock,
      random: () => random.next(),
      report: (observed) => link.report(observed),
      onConflict: (held, heard) => this.#note(`conflict ${held.epoch} ${heard.epoch}`),
      onUnsaved: (error) => this.#note(`could not save: ${error.code}`),
      onSwapped: (activation) => this.#note(`swapped ${activation.mode}`),
    }
  }

  #note(what: string): void {
    this.#ports.trace.add(this.#ports.time.now, `${this.name} ${what}`)
  }
}
