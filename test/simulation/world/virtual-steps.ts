// One host's own configuration and what comes of it: hooks and probes that fail or hang, and the once
// run, whose processes outlive the agent that started them, or die with it.

import type { StepOutcome } from '#shared/activation/events.ts'
import type { ErrorCode } from '#shared/errors.ts'
import type { Fence } from '#shared/fence.ts'
import { type Declares, declaresNothing } from '#shared/report.ts'
import { limits } from '#shared/limits.ts'
import type { HookScene, HostSteps } from '#agent/runtime/ports.ts'
import type { Random } from '../kernel/random.ts'
import type { ProcessClock, VirtualTime } from '../kernel/virtual-time.ts'
import type { Counted, Counts, Faults, Range } from './faults.ts'

export interface VirtualStepsPorts {
  time: VirtualTime
  random: Random
  counts: Counts
  faults: () => Faults
  onOnce: (what: OnceMoment, run: OnceProcess) => void
}

/** `exited` with its result; `gone` without one that anybody saw. */
export type OnceMoment = 'started' | 'exited' | 'gone'

/** Everything that one start of the once hook left running. */
export interface OnceProcess {
  readonly fence: Fence
  readonly tree: string
  isAlive: boolean
  readonly ends: 'done' | 'failed'
}

export class VirtualSteps {
  readonly #ports: VirtualStepsPorts
  readonly #runs: OnceProcess[] = []
  /** Read by the agent when it starts. */
  declares: Declares = declaresNothing
  /** Whether the once run goes on when its agent dies; null: as it happens. */
  outlives: boolean | null = null
  /** Versions that are unhealthy here, whatever the weather, since when. */
  readonly #unhealthy = new Map<string, number>()

  constructor(ports: VirtualStepsPorts) {
    this.#ports = ports
  }

  /** Every start of the once hook on this host, oldest first. */
  get runs(): readonly OnceProcess[] {
    return this.#runs
  }

  /** From now on the version fails its gate here. */
  spoil(version: string): void {
    this.#unhealthy.set(version, this.#ports.time.now)
  }

  mend(): void {
    this.#unhealthy.clear()
  }

  /** Milliseconds since the world began; null where it is fine, or has no gate to say otherwise. */
  unhealthySince(version: string): number | null {
    return this.declares.gateMs === 0 ? null : (this.#unhealthy.get(version) ?? null)
  }

  /** As one process of the agent has them. */
  portsFor(clock: ProcessClock): Omit<HostSteps, 'steps'> {
    return {
      preflight: (_scene, { signal }) => this.#step('preflight', clock, signal),
      beforeActivate: (_scene, { signal }) => this.#step('before', clock, signal),
      onFailure: () => this.#ports.counts.add('on-failure hook'),
      probe: (scene, { mode, signal }) => this.#probe(scene, mode === 'whole', clock, signal),
      runOnce: (scene) => this.#runOnce(scene, clock),
      onceGone: (fence) => this.#onceGone(fence, clock),
    }
  }

  /** The agent is gone: what it ran goes with it, or goes on without anybody to see its end. */
  agentDied(): void {
    for (const run of this.#runs) {
      if (run.isAlive && !(this.outlives ?? this.#ports.random.chance(0.7))) this.#end(run, 'gone')
    }
  }

  async #step(
    which: 'preflight' | 'before',
    clock: ProcessClock,
    signal: AbortSignal,
  ): Promise<StepOutcome> {
    const { hookMs, preflightFails, beforeFails } = this.#ports.faults()
    const fails = which === 'preflight' ? preflightFails : beforeFails
    if (!(await this.#take(hookMs, clock, signal))) return failed('hook-failed')
    return this.#outcome(fails, 'hook-failed', 'hook failure')
  }

  async #probe(
    { release }: HookScene,
    isWhole: boolean,
    clock: ProcessClock,
    signal: AbortSignal,
  ): Promise<StepOutcome> {
    if (this.declares.gateMs === 0) return { kind: 'done' }
    const { gateFails } = this.#ports.faults()
    const { gateMs } = this.declares
    const lasts: Range = isWhole ? [gateMs / 2, gateMs] : [0, gateMs / 4]
    if (!(await this.#take(lasts, clock, signal))) return failed('hook-failed')
    const fails = this.unhealthySince(release.version) !== null ? 1 : gateFails
    return this.#outcome(fails, 'unhealthy', 'unhealthy')
  }

  /** False when it was aborted meanwhile. */
  async #take(lasts: Range, clock: ProcessClock, signal: AbortSignal): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    clock.timer(clock.now() + this.#ports.random.between(lasts), () => resolve(true))
    const isOver = () => clock.timer(clock.now() + 1, () => resolve(false))
    if (signal.aborted) isOver()
    else signal.addEventListener('abort', isOver, { once: true })
    return promise
  }

  #outcome(fails: number, code: ErrorCode, what: Counted): StepOutcome {
    if (!this.#ports.random.chance(fails)) return { kind: 'done' }
    this.#ports.counts.add(what)
    return failed(code)
  }

  async #runOnce({ fence, release }: HookScene, clock: ProcessClock): Promise<StepOutcome> {
    const { random, time, counts, onOnce } = this.#ports
    const { onceFails, onceHangs, onceMs } = this.#ports.faults()
    const hangs = random.chance(onceHangs)
    const ends = hangs || random.chance(onceFails) ? 'failed' : 'done'
    const run: OnceProcess = { fence, tree: release.tree, isAlive: true, ends }
    this.#runs.push(run)
    onOnce('started', run)
    const lastsMs = hangs ? this.declares.onceMs : random.between(onceMs)
    if (hangs) counts.add('once hang')
    const { promise, resolve } = Promise.withResolvers<StepOutcome>()
    time.after(lastsMs, () => {
      if (!run.isAlive) return
      this.#end(run, clock.isAlive ? 'exited' : 'gone')
      if (!clock.isAlive) return
      resolve(ends === 'done' ? { kind: 'done' } : failed('once-failed'))
    })
    return promise
  }

  async #onceGone(fence: Fence, clock: ProcessClock): Promise<void> {
    const lives = () => this.#runs.some((run) => run.isAlive && run.fence.hash === fence.hash)
    while (lives()) await clock.sleep(limits.onceSweepEveryMs)
  }

  #end(run: OnceProcess, how: Exclude<OnceMoment, 'started'>): void {
    if (!run.isAlive) return
    run.isAlive = false
    this.#ports.onOnce(how, run)
  }
}

function failed(code: ErrorCode): StepOutcome {
  return { kind: 'failed', failure: { code, message: 'as the simulator has it' } }
}
