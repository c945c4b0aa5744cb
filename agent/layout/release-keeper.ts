// What clean-up of one app remembers between its runs: since when releases drain, what it held back
// and why, and when it is worth looking again. Failures are told and fail nothing.

import { clearLeftovers, type DrainFacts, type HeldBack, pruneReleases } from './clean-up.ts'
import type { AppLayout } from './app-layout.ts'
import { leadsInto } from './current-link.ts'
import { DrainMarks } from './drain-marks.ts'
import { type AskWhoUses, whoUses } from './who-uses.ts'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import type { Release } from '#shared/release.ts'

export interface KeeperPorts {
  readonly whoUses: AskWhoUses
  /** Epoch milliseconds of the host's clock: what drains outlives this process. */
  readonly now: () => number
  readonly onRemoved: (removed: readonly Release[], leftovers: readonly unknown[]) => void
  readonly onProblem: (doing: string, error: LockstepError) => void
}

/** What a clean-up may go by, until the next decision. */
interface Wishes {
  readonly held: () => readonly Release[]
  readonly pinned: () => readonly string[]
  readonly history: readonly Release[]
}

export class ReleaseKeeper {
  readonly #layout: AppLayout
  readonly #config: { readonly keep: number; readonly drainMs: number }
  readonly #ports: KeeperPorts
  readonly #drain: DrainFacts
  #heldBack: readonly HeldBack[] = []
  #wishes: Wishes | null = null
  #againAt = Number.POSITIVE_INFINITY
  #running: Promise<unknown> = Promise.resolve()
  /** What was said already is not said again until it is another thing. */
  #saidUnknown: string | null = null

  constructor(
    layout: AppLayout,
    config: { readonly keep: number; readonly drainMs: number },
    ports: KeeperPorts,
  ) {
    this.#layout = layout
    this.#config = config
    this.#ports = ports
    const { drainMs } = config
    this.#drain = { marks: DrainMarks.open(layout), drainMs, now: ports.now }
  }

  /**
   * At the start: removes what a crash left, and what runs is not draining. Root is not asked, since
   * a start waits for nobody: what may be in use stays in the trash until the first clean-up.
   * @param staging trees whose unfinished stage will be taken up again
   * @throws LockstepError `disk-error` when the app's directories cannot be listed
   */
  async start(held: readonly Release[], staging: readonly string[]): Promise<void> {
    const all = await clearLeftovers(this.#layout, staging, whoUses)
    const leftovers = all.filter(({ reason }) => reason !== 'usage-unknown')
    if (leftovers.length > 0) this.#ports.onRemoved([], leftovers)
    const versions = held.map(({ version }) => version)
    this.needed(versions.filter((version) => leadsInto(this.#layout, version)))
  }

  /** These versions run, or are about to: their time to drain has not begun. */
  needed(versions: readonly string[]): void {
    try {
      this.#drain.marks.forget(versions)
    } catch (error) {
      this.#tell('noting what is needed', error)
    }
  }

  /** One after the other. @returns what was removed */
  async cleanUp(wishes: Wishes): Promise<readonly Release[]> {
    this.#wishes = wishes
    const run = this.#running.then(() => this.#cleanUp(wishes))
    this.#running = run
    return run
  }

  /**
   * The same once more where something was held back for a while: called now and then, so that a
   * release that has drained need not wait for the next rollout.
   */
  async cleanUpAgain(): Promise<readonly Release[]> {
    const wishes = this.#wishes
    if (wishes === null || this.#ports.now() < this.#againAt) return []
    return this.cleanUp(wishes)
  }

  /** A rollout has begun: what was held back is judged anew when it has ended. */
  wait(): void {
    this.#wishes = null
  }

  /** For whoever finds the disk full: what clean-up would free, and why it has not. */
  get heldBack(): string | null {
    if (this.#heldBack.length === 0) return null
    const releases = this.#heldBack.map(({ version, why }) => `${version} (${why})`)
    return `Clean-up holds back ${releases.join(', ')}.`
  }

  async #cleanUp(wishes: Wishes): Promise<readonly Release[]> {
    this.#againAt = Number.POSITIVE_INFINITY
    try {
      const result = await pruneReleases(this.#layout, {
        held: wishes.held(),
        keep: this.#config.keep,
        history: wishes.history,
        pinned: wishes.pinned,
        whoUses: this.#ports.whoUses,
        drain: this.#drain,
      })
      const { removed, leftovers, heldBack } = result
      this.#heldBack = heldBack
      this.#sayUnknown(result.usageUnknown)
      if (removed.length > 0 || leftovers.length > 0) this.#ports.onRemoved(removed, leftovers)
      this.#againAt = this.#nextLookAt(leftovers.length > 0)
      return removed
    } catch (error) {
      this.#tell('clean-up', error)
      this.#againAt = this.#ports.now() + limits.cleanUpAgainMs
      return []
    }
  }

  #nextLookAt(hasLeftovers: boolean): number {
    const later = this.#ports.now() + limits.cleanUpAgainMs
    const ends = this.#heldBack.map(({ until }) => until ?? later)
    return Math.min(...ends, hasLeftovers ? later : Number.POSITIVE_INFINITY)
  }

  #sayUnknown(reason: string | null): void {
    if (reason === this.#saidUnknown) return
    this.#saidUnknown = reason
    if (reason === null) return
    this.#tell(
      'clean-up',
      new LockstepError('usage-unknown', `no release is removed: ${reason}`, {
        hint:
          'Run `lockstep agent install` on this host: it installs the unit that looks for the ' +
          'agent. Nothing is needed for deploying.',
      }),
    )
  }

  #tell(doing: string, error: unknown): void {
    if (!(error instanceof LockstepError)) throw error
    this.#ports.onProblem(doing, error)
  }
}
