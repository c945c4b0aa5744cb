// Runs the machine of one app on this host: events in, journal saved before anything acts, effects
// started, their ends fed back as events. Knows only ports.

import type {
  ActivationEffect,
  EffectOf,
  EffectType,
  Step,
  SwapOutcome,
} from '#shared/activation/events.ts'
import { committedRelease, isSaidCommitted } from '#shared/activation/committed.ts'
import { type Cause, checkActivationInvariants } from '#shared/activation/invariants.ts'
import { observe, type Observed } from '#shared/activation/observe.ts'
import {
  type ActivationState,
  type Current,
  type Disk,
  type Journal,
  linkOf,
  startedState,
} from '#shared/activation/state.ts'
import { pinnedOf } from '#shared/activation/reconcile.ts'
import { resume, transition } from '#shared/activation/transition.ts'
import { backoffDelayMs } from '#shared/backoff.ts'
import type { Desired } from '#shared/desired.ts'
import { type Fence, sameFence } from '#shared/fence.ts'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { type Release, sameRelease } from '#shared/release.ts'
import { MachineRunner } from '#shared/machine-runner.ts'
import type { Activation } from '#shared/report.ts'
import { HostWork } from './host-work.ts'
import type { AppPorts } from './ports.ts'

type Executors = { [K in EffectType]: (effect: EffectOf<K>) => void }

export class AppRunner {
  readonly #ports: AppPorts
  readonly #runner: MachineRunner<ActivationState, Cause, Step>
  readonly #executors: Executors
  readonly #work: HostWork
  #activationTimer: (() => void) | null = null
  #retryTimer: (() => void) | null = null
  #attestTimer: (() => void) | null = null
  #staging: AbortController | null = null
  /** The last swap of this process, if the controller's clock was not known yet; our own clock. */
  #unplaced: { readonly fence: Fence; readonly at: number } | null = null
  #swaps = 0
  /** The release that was last said to be committed. */
  #committed: Release | null = null
  #stopped = false

  private constructor(ports: AppPorts, state: ActivationState) {
    this.#ports = ports
    this.#runner = new MachineRunner(state, {
      transition: (before, event) => {
        const step = event.type === 'resumed' ? resume(before) : transition(before, event)
        checkActivationInvariants(before, event, step)
        return step
      },
      save: (step, before) => this.#save(step, before),
      perform: (step) => {
        this.#perform(step.effects)
        this.#commit(step.state)
      },
      // Only a fault of the program gets here: what the disk refuses is tried again in #save.
      onUnsaved: (_event, error) => {
        throw error
      },
    })
    this.#work = new HostWork(ports, (event) => this.#enqueue(event))
    this.#executors = this.#executorsOf()
  }

  /** Takes up the journal and the disk, and does what they leave to be done. */
  static async start(
    ports: AppPorts,
    from: { journal: Journal; disk: Disk; serving: boolean },
  ): Promise<AppRunner> {
    const { declares, drift } = ports
    const state = startedState(from.journal, from.disk, from.serving, { declares, drift })
    const runner = new AppRunner(ports, state)
    // An event like any other: a disk that refuses the journal must not hold up the other apps.
    runner.#enqueue({ type: 'resumed' })
    runner.#attestLater()
    return runner
  }

  get state(): ActivationState {
    return this.#runner.state
  }

  openSession(session: number): void {
    this.#enqueue({ type: 'session-opened', session })
  }

  closeSession(session: number): void {
    this.#enqueue({ type: 'session-closed', session })
  }

  receive(session: number, desired: Desired): void {
    this.#enqueue({ type: 'desired-received', session, desired })
  }

  /** Looks at the link and reports: called at every report's time, so that drift is seen. */
  async look(): Promise<void> {
    this.#enqueue({ type: 'disk-observed', disk: await this.#disk() })
  }

  idle(): Promise<void> {
    return this.#runner.idle()
  }

  stop(): void {
    this.#stopped = true
    this.#runner.stop()
    this.#staging?.abort()
    this.#work.stop()
    this.#activationTimer?.()
    this.#retryTimer?.()
    this.#attestTimer?.()
  }

  #enqueue(event: Cause): void {
    this.#runner.enqueue(event)
  }

  /** What was read before a swap and comes after its end would be believed: it is read again. */
  async #disk(): Promise<Disk> {
    const { disk } = this.#ports
    const hold = await disk.observeHold()
    let swaps: number
    let current: Current
    do {
      swaps = this.#swaps
      current = await disk.observeCurrent()
    } while (swaps !== this.#swaps)
    return { current, held: disk.held(), hold }
  }

  /**
   * Nothing is acted on that is not durable, so a disk that refuses holds everything up until it
   * accepts: the lease lapses meanwhile, which is the truth about this host.
   */
  async #save(step: Step, before: ActivationState): Promise<void> {
    const { journal } = step.state
    while (journal !== before.journal && !this.#stopped) {
      try {
        await this.#ports.journal.save(journal)
        return
      } catch (error) {
        if (!(error instanceof LockstepError)) throw error
        this.#ports.onUnsaved(error)
        await this.#pause(limits.journalRetryMs)
      }
    }
  }

  async #pause(durationMs: number): Promise<void> {
    const { clock } = this.#ports
    const { promise, resolve } = Promise.withResolvers<void>()
    clock.timer(clock.now() + durationMs, resolve)
    await promise
  }

  #perform(effects: readonly ActivationEffect[]): void {
    for (const effect of effects) execute(this.#executors, effect)
  }

  /** Said once for each release that it comes to run, and again until it is durable. */
  #commit(state: ActivationState): void {
    const release = committedRelease(state)
    if (release === null || sameRelease(release, this.#committed)) return
    this.#committed = release
    this.#run(async () => {
      if (!(await this.#ports.disk.commit(release))) this.#committed = null
    })
  }

  #executorsOf(): Executors {
    return {
      stage: (effect) => this.#run(() => this.#stage(effect)),
      'cancel-stage': () => this.#staging?.abort(),
      schedule: (effect) => this.#schedule(effect),
      unschedule: () => {
        this.#activationTimer?.()
        this.#activationTimer = null
      },
      swap: (effect) => this.#swap(effect),
      reload: (effect) => this.#work.reload(effect),
      'stop-reload': () => this.#work.stopReload(),
      attest: (effect) =>
        this.#run(async () => {
          const results = await this.#ports.disk.attest(effect.releases)
          this.#enqueue({ type: 'attest-ended', fence: effect.fence, results })
        }),
      preflight: (effect) => this.#work.preflight(effect),
      'before-activate': (effect) => this.#work.beforeActivate(effect),
      probe: (effect) => this.#work.probe(effect),
      'stop-trial': () => this.#work.stopTrial(),
      'run-once': (effect) => this.#work.runOnce(effect),
      'await-once': (effect) => this.#work.awaitOnce(effect),
      'tell-failure': (effect) => this.#work.tellFailure(effect),
      'retry-later': (effect) => this.#retryLater(effect.attempt),
      report: () => this.#ports.report(this.#observed()),
      serve: (effect) => this.#run(() => this.#ports.disk.setServing(effect.serving)),
      'clean-up': (effect) =>
        this.#run(async () => {
          const pinned = () => [...effect.pinned, ...pinnedOf(this.#runner.state)]
          await this.#ports.disk.cleanUp(pinned, effect.history)
          await this.look()
        }),
      'raise-conflict': (effect) => this.#ports.onConflict(effect.held, effect.heard),
    }
  }

  /** A rejection here is a fault of the program: it is left to end the process. */
  #run(work: () => Promise<void>): void {
    void work()
  }

  async #stage({ release }: EffectOf<'stage'>): Promise<void> {
    const staging = new AbortController()
    this.#staging = staging
    let toldAt = Number.NEGATIVE_INFINITY
    const outcome = await this.#ports.disk.stage(release, {
      signal: staging.signal,
      isSettled: isSaidCommitted(this.#runner.state, release),
      onProgress: (bytes, bytesTotal) => {
        const at = this.#ports.clock.now()
        if (at - toldAt < limits.progressEveryMs) return
        toldAt = at
        this.#enqueue({ type: 'stage-progressed', release, bytes, bytesTotal })
      },
    })
    if (this.#stopped) return
    this.#staging = null
    this.#enqueue({ type: 'stage-ended', release, outcome, disk: await this.#disk() })
  }

  /** On receipt where the clock is too unsure: late by less than a wrong guess could be early. */
  #schedule({ fence, activateAt }: EffectOf<'schedule'>): void {
    this.#activationTimer?.()
    const due = () => {
      this.#activationTimer = null
      this.#enqueue({ type: 'activation-due', fence })
    }
    const local = this.#ports.controllerClock.toLocal(activateAt)
    const now = this.#ports.clock.now()
    if (local === null || local.errorMs > limits.clockErrorMaxMs || local.at <= now) {
      due()
      return
    }
    const at = Math.min(local.at, now + limits.leadMaxMs)
    this.#activationTimer = this.#ports.clock.timer(at, due)
  }

  #swap({ fence, target }: EffectOf<'swap'>): void {
    const outcome = this.#swapped(fence, this.#ports.disk.swap(target))
    this.#swaps += 1
    this.#run(async () => {
      this.#enqueue({ type: 'swap-ended', fence, outcome, disk: await this.#disk() })
    })
  }

  #swapped(fence: Fence, done: ReturnType<AppPorts['disk']['swap']>): SwapOutcome {
    if (done.kind === 'failed') return done
    const activation = this.#activation(done.at)
    this.#unplaced = activation === null ? { fence, at: done.at } : null
    const swap = activation ?? { mode: 'on-receipt' as const, activatedAt: null, errorMs: null }
    // What was seen last: somebody else may have led the link elsewhere.
    this.#ports.onSwapped({ ...swap, was: linkOf(this.#runner.state.disk.current) })
    return { kind: 'swapped', activation }
  }

  /** Null while there is no telling it in the controller's clock: ours means nothing to others. */
  #activation(at: number): Activation | null {
    const instant = this.#ports.controllerClock.toController(at)
    if (instant === null) return null
    const { told } = this.#runner.state.journal
    const sure = instant.errorMs <= limits.clockErrorMaxMs
    // Later than the clock could be wrong: the decision came late, or a hook took until now.
    const lateMs = instant.at - (told?.run.activateAt ?? Number.POSITIVE_INFINITY)
    const timed = sure && lateMs >= 0 && lateMs <= limits.clockErrorMaxMs
    return {
      activatedAt: instant.at,
      errorMs: instant.errorMs,
      mode: timed ? 'timed' : 'on-receipt',
    }
  }

  /** A swap from before the first session is told with its instant once there is a clock for it. */
  #observed(): Observed {
    const observed = observe(this.#runner.state)
    const unplaced = this.#unplaced
    if (unplaced === null || !sameFence(unplaced.fence, observed.fence)) return observed
    const activation = this.#activation(unplaced.at)
    return activation === null
      ? observed
      : { ...observed, activation: { ...activation, mode: 'on-receipt' } }
  }

  #retryLater(attempt: number): void {
    this.#retryTimer?.()
    const bounds = { minMs: limits.retryMinMs, maxMs: limits.retryMaxMs }
    const delayMs = backoffDelayMs(attempt, this.#ports.random(), bounds)
    this.#retryTimer = this.#ports.clock.timer(this.#ports.clock.now() + delayMs, () => {
      this.#retryTimer = null
      this.#enqueue({ type: 'retry-due' })
    })
  }

  #attestLater(): void {
    const at = this.#ports.clock.now() + limits.attestEveryMs
    this.#attestTimer = this.#ports.clock.timer(at, () => {
      this.#attestLater()
      this.#run(async () => {
        // The link too: without a session no report looks at it.
        await this.look()
        this.#enqueue({ type: 'attest-due' })
      })
    })
  }
}

function execute<K extends EffectType>(executors: Executors, effect: EffectOf<K>): void {
  executors[effect.type](effect)
}
