// One app's runner on a host that is in the hands of a test: a disk and a journal in memory, every
// port's call written down in order.

import { AppRunner } from '#agent/runtime/app-runner.ts'
import type { AppDisk, AppPorts, HookScene, HostSteps } from '#agent/runtime/ports.ts'
import type { StageOutcome, StepOutcome, SwapTarget } from '#shared/activation/events.ts'
import type { Observed } from '#shared/activation/observe.ts'
import { type Current, emptyJournal, type Journal } from '#shared/activation/state.ts'
import type { Desired } from '#shared/desired.ts'
import { declaresNothing, type Declares } from '#shared/report.ts'
import { LockstepError } from '#shared/errors.ts'
import { type Release, sameRelease } from '#shared/release.ts'
import { FakeClock } from './fake-clock.ts'
import { fenceOf } from './fleet-facts.ts'

export function desiredOf(epoch: number, changes: Partial<Desired> = {}): Desired {
  return {
    fence: fenceOf(1, epoch),
    kind: 'stage',
    hold: false,
    run: { release: null, fallback: null, activateAt: null },
    stage: null,
    once: false,
    drain: false,
    history: [],
    ...changes,
  }
}

/** What of the host's own a test can hold up or let fail. */
export type OwnWork = 'preflight' | 'before' | 'steps' | 'probe' | 'once'

const stopped: StepOutcome = {
  kind: 'failed',
  failure: { code: 'hook-failed', message: 'it was stopped' },
}

export class AppWorld {
  readonly clock = new FakeClock(10_000)
  readonly log: string[] = []
  readonly reports: Observed[] = []
  /** What the runner said to be committed here, and whether that is written down. */
  readonly committed: Release[] = []
  commitsDurably = true
  /** How each stage was asked for. */
  readonly stagedAs: ('settled' | 'new')[] = []
  current: Current = { kind: 'none' }
  held: readonly Release[] = []
  journal: Journal = emptyJournal
  serving = false
  /** The controller's clock minus ours, and its error; null when nothing is known. */
  offset: { offsetMs: number; errorMs: number } | null = { offsetMs: 0, errorMs: 1 }
  /** Thrown by every save until it is taken away. */
  unsaved: LockstepError | null = null
  drifted: readonly string[] = []
  /** A stage repairs nothing: somebody changes what it builds at once. */
  staysDrifted = false
  /** What the next stages come to, and what holds them up. */
  stageOutcome: StageOutcome = { kind: 'staged' }
  stageGate: Promise<void> | null = null
  /** What the host's own work comes to, where it is not done. */
  readonly outcomes: Partial<Record<OwnWork, StepOutcome>> = {}
  /** What its own work waits for, unless it is stopped. */
  readonly gates: Partial<Record<OwnWork, Promise<void>>> = {}
  /** Resolves when nothing of an interrupted once run is left. */
  onceGone: Promise<void> = Promise.resolve()
  hold: string | null = null
  declares: Declares = { ...declaresNothing, once: 'd'.repeat(64), onceMs: 600_000 }
  drift: 'repair' | 'report' = 'repair'
  swapFailure: LockstepError | null = null
  onProgress: ((bytes: number, bytesTotal: number) => void) | null = null
  random = 0

  /** A host that holds these releases and runs the first of them. */
  static running(...releases: readonly Release[]): AppWorld {
    const world = new AppWorld()
    world.held = releases
    if (releases[0] !== undefined) world.link(releases[0])
    return world
  }

  link({ version }: Release): void {
    this.current = { kind: 'release', version, link: `versions/${version}` }
  }

  start(): Promise<AppRunner> {
    const disk = { current: this.current, held: this.held, hold: this.hold }
    return AppRunner.start(this.#ports(), { journal: this.journal, disk, serving: this.serving })
  }

  /** What was written down since the last call. */
  news(): readonly string[] {
    return this.log.splice(0)
  }

  get lastReport(): Observed | undefined {
    return this.reports.at(-1)
  }

  #ports(): AppPorts {
    return {
      journal: { save: async (journal) => this.#save(journal) },
      disk: this.#disk(),
      ...this.#steps(),
      declares: this.declares,
      drift: this.drift,
      clock: this.clock,
      controllerClock: {
        toController: (at) => this.#placed(at, 1),
        toLocal: (at) => this.#placed(at, -1),
      },
      random: () => this.random,
      report: (observed) => this.reports.push(observed),
      onConflict: () => this.log.push('conflict'),
      onUnsaved: (error) => this.log.push(`unsaved ${error.code}`),
      onSwapped: ({ mode }) => this.log.push(`swapped ${mode}`),
    }
  }

  #steps(): HostSteps {
    return {
      preflight: ({ release }, { signal, runHook }) =>
        this.#does('preflight', `${release.version}${runHook ? ' with hook' : ''}`, signal),
      beforeActivate: ({ release }, { signal }) => this.#does('before', release.version, signal),
      steps: ({ release, previous, rollingBack }, { signal }) => {
        const way = `${previous?.version ?? 'nothing'} to ${release?.version ?? 'nothing'}`
        return this.#does('steps', rollingBack ? `back from ${way}` : `from ${way}`, signal)
      },
      probe: ({ release }, { mode, signal }) =>
        this.#does('probe', `${release.version} ${mode}`, signal),
      runOnce: (scene) => this.#does('once', nameOf(scene), null),
      onceGone: async (fence) => {
        this.log.push(`once of ${fence.epoch} awaited`)
        await this.onceGone
      },
      onFailure: (scene, failure) => this.log.push(`failure ${nameOf(scene)} ${failure.code}`),
    }
  }

  async #does(work: OwnWork, what: string, signal: AbortSignal | null): Promise<StepOutcome> {
    this.log.push(`${work} ${what}`)
    const isStopped = new Promise<void>((resolve) => {
      signal?.addEventListener('abort', () => {
        this.log.push(`${work} stopped`)
        resolve()
      })
    })
    const gate = this.gates[work]
    if (gate !== undefined) await Promise.race([gate, isStopped])
    return signal?.aborted === true ? stopped : (this.outcomes[work] ?? { kind: 'done' })
  }

  #save(journal: Journal): void {
    if (this.unsaved !== null) throw this.unsaved
    this.journal = journal
    this.log.push(`save ${journal.fence?.epoch ?? 0}${journal.reloadDue ? ' reload due' : ''}`)
  }

  #disk(): AppDisk {
    return {
      observeCurrent: async () => this.current,
      observeHold: async () => this.hold,
      held: () => this.held,
      commit: async (release) => {
        this.committed.push(release)
        return this.commitsDurably
      },
      stage: async (release, { signal, onProgress, isSettled }) => {
        this.stagedAs.push(isSettled ? 'settled' : 'new')
        this.log.push(`stage ${release.version}`)
        this.onProgress = onProgress
        signal.addEventListener('abort', () => this.log.push('stage aborted'))
        await this.stageGate
        if (signal.aborted) return { kind: 'cancelled' }
        const { stageOutcome } = this
        if (stageOutcome.kind === 'staged') {
          // One directory has one tree: another one of the same version takes its place.
          this.held = [...this.held.filter((h) => h.version !== release.version), release]
          const isMended = (tree: string) => tree === release.tree && !this.staysDrifted
          this.drifted = this.drifted.filter((tree) => !isMended(tree))
        }
        return stageOutcome
      },
      swap: (target) => this.#swap(target),
      attest: async (releases) => {
        this.log.push(`attest ${releases.map(({ version }) => version).join(' ')}`)
        return releases.map(({ version, tree }) => ({
          version,
          result: this.drifted.includes(tree) ? ('drifted' as const) : ('whole' as const),
        }))
      },
      cleanUp: async (_pinned, history) => {
        this.log.push(`clean up ${history.map(({ version }) => version).join(' ')}`)
      },
      setServing: async (serving) => {
        this.serving = serving
        this.log.push(serving ? 'serving' : 'not serving')
      },
    }
  }

  #swap(target: SwapTarget): ReturnType<AppDisk['swap']> {
    const name = target.kind === 'release' ? target.release.version : target.link
    this.log.push(`swap ${name}`)
    if (this.swapFailure !== null) {
      const { code, message } = this.swapFailure
      return { kind: 'failed', failure: { code, message } }
    }
    if (target.kind === 'release') this.link(target.release)
    else {
      const release = this.held.find(({ version }) => target.link === `versions/${version}`)
      if (release === undefined) this.current = { kind: 'foreign', link: target.link }
      else this.link(release)
    }
    return { kind: 'swapped', at: this.clock.now() }
  }

  #placed(at: number, sign: 1 | -1) {
    if (this.offset === null) return null
    return { at: at + sign * this.offset.offsetMs, errorMs: this.offset.errorMs }
  }
}

function nameOf({ release, fence }: HookScene): string {
  return `${release.version} under ${fence.term}.${fence.epoch}`
}

/** Whether the world ends up on the release. */
export function runs(world: AppWorld, release: Release): boolean {
  const { current, held } = world
  return (
    current.kind === 'release' &&
    current.version === release.version &&
    held.some((one) => sameRelease(one, release))
  )
}

export const diskIsFull = new LockstepError('no-space', 'Saving the journal: ENOSPC')
