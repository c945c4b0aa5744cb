// One app on one host's disk: what is there outlives the process. A stage, an attest and a clean-up
// take their time; a swap happens at once.

import type {
  StageOutcome,
  StepOutcome,
  SwapOutcome,
  SwapTarget,
} from '#shared/activation/events.ts'
import { type Current, type Disk, emptyJournal, type Journal } from '#shared/activation/state.ts'
import { type ErrorCode, LockstepError } from '#shared/errors.ts'
import { type Release, sameRelease } from '#shared/release.ts'
import { planRetention } from '#agent/layout/retention.ts'
import type { AppDisk, JournalStore } from '#agent/runtime/ports.ts'
import type { Random } from '../kernel/random.ts'
import type { ProcessClock } from '../kernel/virtual-time.ts'
import type { Counts, Faults } from './faults.ts'

export interface DiskPorts {
  random: Random
  counts: Counts
  faults: () => Faults
  /** How many releases clean-up keeps. */
  keep: number
  canFetch: () => boolean
  /** The rename is about to happen, as told by the journal that is durable. */
  onSwap: (target: SwapTarget) => void
  onJournal: (before: Journal, after: Journal) => void
  onRemove: (release: Release) => void
  /** The process dies now. */
  crash: () => void
}

export class VirtualDisk {
  readonly #ports: DiskPorts
  readonly #versions = new Map<string, string>()
  #link: string | null
  #obstacle: 'directory' | 'unreadable' | null = null
  #hold: string | null = null
  /** Versions whose files somebody has changed. */
  readonly #tampered = new Set<string>()
  #journal: Journal = emptyJournal
  #serving = false
  #reloads = 0
  #isTroubled = false

  /** @param link what `current` is before Lockstep comes; null for nothing */
  constructor(link: string | null, ports: DiskPorts) {
    this.#link = link
    this.#ports = ports
  }

  get link(): string | null {
    return this.#link
  }

  /** How often the reload steps have run. */
  get reloads(): number {
    return this.#reloads
  }

  /** Whether its last swap or reload failed. */
  get isTroubled(): boolean {
    return this.#isTroubled
  }

  get serving(): boolean {
    return this.#serving
  }

  get journal(): Journal {
    return this.#journal
  }

  get disk(): Disk {
    return { current: this.#current(), held: this.#held(), hold: this.#hold }
  }

  /** The release that `current` resolves to, if it is one. */
  get runs(): Release | null {
    const version = this.#link?.startsWith('versions/') === true ? this.#link.slice(9) : ''
    const tree = this.#versions.get(version)
    return tree === undefined ? null : { version, tree }
  }

  holds(release: Release): boolean {
    return this.#held().some((held) => sameRelease(held, release))
  }

  /** Somebody else changes the link. */
  drift(link: string): void {
    this.#link = link
    this.#ports.counts.add('drift')
  }

  /** Somebody else changes files of the release that runs. */
  tamper(): void {
    const { runs } = this
    if (runs === null) return
    this.#tampered.add(runs.version)
    this.#ports.counts.add('tampering')
  }

  /** A real directory takes the place of the link, or the disk refuses to say what is there. */
  obstruct(obstacle: 'directory' | 'unreadable' | null): void {
    this.#obstacle = obstacle
    if (obstacle === 'directory') this.#link = null
    if (obstacle !== null) this.#ports.counts.add('obstacle')
  }

  /** The host's own operator holds it to what it runs, or ends the hold. */
  hold(reason: string | null): void {
    this.#hold = reason
  }

  get isObstructed(): boolean {
    return this.#obstacle !== null
  }

  get isTampered(): boolean {
    return this.#tampered.has(this.runs?.version ?? '')
  }

  journalFor(clock: ProcessClock): JournalStore {
    const { random } = this.#ports
    return {
      save: async (journal) => {
        const faults = this.#ports.faults()
        await clock.sleep(random.between(faults.journalMs))
        if (random.chance(faults.journalCrash)) return this.#die()
        if (random.chance(faults.journalFails)) {
          throw new LockstepError('no-space', 'the disk of the host is full')
        }
        this.#ports.onJournal(this.journal, journal)
        // As a file would give it back: nothing is shared with the process.
        this.#journal = JSON.parse(JSON.stringify(journal))
        if (random.chance(faults.journalCrash)) return this.#die()
        await clock.sleep(random.between(faults.journalMs))
      },
    }
  }

  diskFor(clock: ProcessClock): AppDisk {
    const { random } = this.#ports
    return {
      observeCurrent: async () => {
        const current = this.#current()
        await clock.sleep(random.between(this.#ports.faults().lookMs))
        return current
      },
      observeHold: async () => this.#hold,
      held: () => this.#held(),
      stage: (release, options) => this.#stage(release, options.signal, options.onProgress, clock),
      commit: async () => true,
      swap: (target) => this.#swap(target, clock),
      attest: async (releases) => {
        await clock.sleep(random.between(this.#ports.faults().attestMs))
        return releases.map((release) => ({
          version: release.version,
          result: this.#isWhole(release) ? 'whole' : 'drifted',
        }))
      },
      cleanUp: (pinned, history) => this.#cleanUp(pinned, history, clock),
      setServing: async (serving) => {
        this.#serving = serving
      },
    }
  }

  async reload(clock: ProcessClock): Promise<StepOutcome> {
    const { random, counts } = this.#ports
    const faults = this.#ports.faults()
    await clock.sleep(random.between(faults.reloadMs))
    this.#reloads += 1
    this.#isTroubled = false
    if (!random.chance(faults.reloadFails)) return { kind: 'done' }
    counts.add('reload failure')
    this.#isTroubled = true
    return failed('reload-failed')
  }

  #current(): Current {
    if (this.#obstacle === 'directory') return { kind: 'directory' }
    if (this.#obstacle === 'unreadable') return { kind: 'unreadable', reason: 'EIO' }
    if (this.#link === null) return { kind: 'none' }
    const { runs } = this
    return runs === null
      ? { kind: 'foreign', link: this.#link }
      : { kind: 'release', version: runs.version, link: this.#link }
  }

  #isWhole(release: Release): boolean {
    return this.holds(release) && !this.#tampered.has(release.version)
  }

  #held(): readonly Release[] {
    return [...this.#versions].map(([version, tree]) => ({ version, tree }))
  }

  async #stage(
    release: Release,
    signal: AbortSignal,
    onProgress: (bytes: number, bytesTotal: number) => void,
    clock: ProcessClock,
  ): Promise<StageOutcome> {
    const { random, counts, canFetch } = this.#ports
    const faults = this.#ports.faults()
    const steps = 3
    const stepMs = random.between(faults.stageMs) / steps
    for (let step = 1; step <= steps; step += 1) {
      await clock.sleep(stepMs)
      if (signal.aborted) return { kind: 'cancelled' }
      onProgress(step, steps)
    }
    if (!canFetch()) return failed('fetch-failed')
    if (random.chance(faults.stageFails)) {
      counts.add('stage failure')
      return failed('stage-failed')
    }
    this.#versions.set(release.version, release.tree)
    this.#tampered.delete(release.version)
    return { kind: 'staged' }
  }

  #swap(
    target: SwapTarget,
    clock: ProcessClock,
  ): { kind: 'swapped'; at: number } | Extract<SwapOutcome, { kind: 'failed' }> {
    const { random, counts, crash, onSwap } = this.#ports
    const faults = this.#ports.faults()
    const link = target.kind === 'link' ? target.link : `versions/${target.release.version}`
    if (this.#obstacle === 'directory') return failed('current-is-directory')
    if (this.#obstacle === 'unreadable') return failed('disk-error')
    const isMissing = target.kind === 'release' && !this.#versions.has(target.release.version)
    const fails = random.chance(faults.swapFails)
    this.#isTroubled = fails || isMissing
    if (fails) counts.add('swap failure')
    // The rename may have happened all the same, when the sync after it is what failed.
    if (isMissing || (fails && random.chance(0.5))) return failed('activate-failed')
    onSwap(target)
    this.#link = link
    if (random.chance(faults.swapCrash)) crash()
    return fails ? failed('activate-failed') : { kind: 'swapped', at: clock.now() }
  }

  async #cleanUp(
    pinned: () => readonly string[],
    history: readonly Release[],
    clock: ProcessClock,
  ): Promise<void> {
    const { random, keep, onRemove } = this.#ports
    const held = this.#held()
    // Looking at what processes use takes its time; what follows is done at once.
    await clock.sleep(random.between(this.#ports.faults().cleanUpMs))
    const plan = planRetention({ held, keep, history, pinned: pinned(), inUse: new Set() })
    for (const release of plan.removed) {
      if (this.runs?.version === release.version) continue
      onRemove(release)
      this.#versions.delete(release.version)
    }
  }

  async #die(): Promise<void> {
    this.#ports.crash()
    return new Promise<void>(() => undefined)
  }
}

function failed(code: ErrorCode) {
  return { kind: 'failed' as const, failure: { code, message: 'as the simulator has it' } }
}
