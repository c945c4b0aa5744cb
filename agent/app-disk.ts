// One app's disk as its runner uses it: what staging, swap, attest and clean-up give, turned into
// outcomes. Remembers which releases this process knows to be whole.

import type {
  AttestResult,
  StageOutcome,
  SwapOutcome,
  SwapTarget,
} from '#shared/activation/events.ts'
import type { Current } from '#shared/activation/state.ts'
import type { Clock } from '#shared/clock.ts'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { type Release, sameRelease } from '#shared/release.ts'
import type { Failure } from '#shared/report.ts'
import type { ContentAccess } from './adapters/content-client.ts'
import { heldReleases, recordedReleases } from './attest/held-releases.ts'
import { quickAttest } from './attest/quick-attest.ts'
import type { AppConfig } from './config.ts'
import { type AppLayout, prepareLayout } from './layout/app-layout.ts'
import { activateVersion, goBackTo, observeCurrent } from './layout/current-link.ts'
import { passGroupOn } from './layout/group-directory.ts'
import { ReleaseKeeper } from './layout/release-keeper.ts'
import { readHold } from './layout/hold-file.ts'
import { relabelServing, removeServing, writeServing } from './layout/serving-file.ts'
import type { AskWhoUses } from './layout/who-uses.ts'
import type { TlsTrust } from './link/controller-channel.ts'
import type { AppDisk as AppDiskPort, StageOptions } from './runtime/ports.ts'
import { stageRelease } from './staging/stage-release.ts'
import { type StagedRelease, stageTuning } from './staging/stage-request.ts'
import type { AppTrust } from './trust/app-trust.ts'
import { fetchStatement } from './trust/fetch-statement.ts'

export type ReleaseTrust = Pick<AppTrust, 'admit' | 'commit' | 'refresh' | 'refusal'>

export interface AppDiskPorts {
  controllerUrl: string
  /** Origins that content may be redirected to. */
  redirects: readonly string[]
  /** By which the controller is known, by now. */
  tls: () => TlsTrust
  /** The content token of the session; null before the first one. */
  contentToken: () => string | null
  clock: Clock
  /** That the files of releases get; null: no matter. */
  groupId: number | null
  trust: ReleaseTrust
  whoUses: AskWhoUses
  onStaged: (staged: StagedRelease) => void
  onDrift: (version: string, facts: object) => void
  onRemoved: (removed: readonly Release[], leftovers: readonly unknown[]) => void
  /** Something failed that no outcome tells: it is logged, and comes again by itself. */
  onProblem: (doing: string, error: LockstepError) => void
  /** A fault of the program that was contained. */
  onFault: (doing: string, error: unknown) => void
}

export class AppDisk implements AppDiskPort {
  readonly #layout: AppLayout
  readonly #config: AppConfig
  readonly #ports: AppDiskPorts
  readonly #keeper: ReleaseKeeper
  #held: readonly Release[]

  private constructor(
    layout: AppLayout,
    config: AppConfig,
    ports: AppDiskPorts,
    found: { keeper: ReleaseKeeper; held: readonly Release[] },
  ) {
    this.#layout = layout
    this.#config = config
    this.#ports = ports
    this.#keeper = found.keeper
    this.#held = found.held
  }

  /**
   * Prepares the layout, clears what a crash left, and finds out what the host holds.
   * @param staging the tree whose unfinished stage will be taken up again, if there is one
   * @throws LockstepError `disk-error`, `bad-configuration` for a group that cannot be passed on
   */
  static async open(
    layout: AppLayout,
    config: AppConfig,
    ports: AppDiskPorts,
    staging: readonly string[],
  ): Promise<AppDisk> {
    prepareLayout(layout)
    if (ports.groupId !== null) passGroupOn(layout, ports.groupId)
    const keeper = new ReleaseKeeper(layout, config, { ...ports, now: Date.now })
    await keeper.start(recordedReleases(layout), staging)
    const { whole, drifted } = await heldReleases(layout)
    for (const { version, attest } of drifted) ports.onDrift(version, attest)
    const held = whole.map(({ version, tree }) => ({ version, tree }))
    const disk = new AppDisk(layout, config, ports, { keeper, held })
    await disk.observeCurrent()
    return disk
  }

  /** Never rejects: a disk that does not answer is what it says. */
  async observeCurrent(): Promise<Current> {
    try {
      const current = observeCurrent(this.#layout)
      await this.#ports.trust.refresh(this.#wholeAt(current))
      return current
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error
      return { kind: 'unreadable', reason: error.message }
    }
  }

  #wholeAt(current: Current): Release | null {
    const version = current.kind === 'release' ? current.version : null
    return this.#held.find((held) => held.version === version) ?? null
  }

  /** Whether it is held cannot be told: then it is, for nothing may be done against its operator. */
  async observeHold(): Promise<string | null> {
    try {
      return readHold(this.#layout)
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error
      return error.message
    }
  }

  /** What the host's trust file does not let run is promised to nobody: it is staged anew, or not. */
  held(): readonly Release[] {
    return this.#held.filter((release) => this.#ports.trust.refusal(release) === null)
  }

  async commit(release: Release): Promise<boolean> {
    return this.#ports.trust.commit(release)
  }

  async stage(release: Release, options: StageOptions): Promise<StageOutcome> {
    const token = this.#ports.contentToken()
    if (token === null) return { kind: 'failed', failure: notConnected }
    this.#keeper.wait()
    const { controllerUrl, redirects } = this.#ports
    const access = { controllerUrl, token, redirects, tls: this.#ports.tls() }
    try {
      const refusal = await this.#judge(release, access, options)
      if (refusal !== null) return { kind: 'failed', failure: refusal }
      const staged = await stageRelease(
        {
          root: this.#layout.root,
          release,
          held: this.#held,
          sharedPaths: this.#config.shared,
          ...access,
          reuse: 'auto',
          groupId: this.#ports.groupId,
          tuning: stageTuning,
        },
        {
          signal: options.signal,
          onProgress: ({ bytes, bytesTotal }) => options.onProgress(bytes, bytesTotal),
        },
      )
      this.#hold(release, staged)
      return { kind: 'staged' }
    } catch (error) {
      if (options.signal.aborted) return { kind: 'cancelled' }
      if (error instanceof LockstepError) {
        return { kind: 'failed', failure: this.#withHeldBack(failureOf(error)) }
      }
      // A fault in the worker is contained there: the host's other apps go on.
      this.#ports.onFault('staging', error)
      const message = `staging ended unexpectedly: ${String(error)}`
      return { kind: 'failed', failure: { code: 'stage-failed', message } }
    }
  }

  /** Before the first byte of it is fetched or written. */
  async #judge(
    release: Release,
    access: ContentAccess,
    { signal, isSettled }: StageOptions,
  ): Promise<Failure | null> {
    const { app } = this.#config
    const standing = recordedReleases(this.#layout)
    return this.#ports.trust.admit({
      release,
      isSettled,
      isStanding: standing.some((known) => sameRelease(known, release)),
      fetch: () => fetchStatement(access, { app, release }, signal),
    })
  }

  swap(
    target: SwapTarget,
  ): { kind: 'swapped'; at: number } | Extract<SwapOutcome, { kind: 'failed' }> {
    // The link of before was there before: the host's own.
    const refusal = target.kind === 'release' ? this.#ports.trust.refusal(target.release) : null
    if (refusal !== null) return { kind: 'failed', failure: refusal }
    try {
      const { renameEndedMs } =
        target.kind === 'release'
          ? activateVersion(this.#layout, target.release.version)
          : goBackTo(this.#layout, target.link)
      return { kind: 'swapped', at: renameEndedMs }
    } catch (error) {
      return { kind: 'failed', failure: failureOf(error) }
    }
  }

  async attest(releases: readonly Release[]): Promise<readonly AttestResult[]> {
    const results: AttestResult[] = []
    for (const { version, tree } of releases) {
      results.push({ version, result: await this.#attestOne(version, tree) })
    }
    this.#relabelServing(results)
    // What is looked at runs, or is promised to.
    this.#keeper.needed(releases.map(({ version }) => version))
    void this.#cleanUpAgain(releases)
    return results
  }

  /** A tree that cannot be read is not promised either. */
  async #attestOne(version: string, tree: string): Promise<'whole' | 'drifted'> {
    try {
      const attest = await quickAttest(this.#layout, version)
      if (attest.outcome === 'whole' && attest.tree === tree) return 'whole'
      this.#ports.onDrift(version, attest)
    } catch (error) {
      if (systemCodeOf(error) === undefined) throw error
      this.#ports.onDrift(version, { err: error })
    }
    return 'drifted'
  }

  async cleanUp(pinned: () => readonly string[], history: readonly Release[]): Promise<void> {
    // A release that drifted counts for nothing, but takes its room all the same.
    const held = () => recordedReleases(this.#layout)
    this.#forget(await this.#keeper.cleanUp({ held, pinned, history }))
  }

  /** While nothing but what runs is looked at, nothing else is about to happen. */
  async #cleanUpAgain(looked: readonly Release[]): Promise<void> {
    const current = await this.observeCurrent()
    if (current.kind !== 'release' || looked.some((one) => one.version !== current.version)) return
    this.#forget(await this.#keeper.cleanUpAgain())
  }

  #forget(removed: readonly Release[]): void {
    this.#held = this.#held.filter((held) => !removed.some((gone) => sameRelease(gone, held)))
  }

  /** On a full disk it matters what could be freed. */
  #withHeldBack(failure: Failure): Failure {
    const { heldBack } = this.#keeper
    if (failure.code !== 'no-space' || heldBack === null) return failure
    return { ...failure, hint: [heldBack, failure.hint ?? ''].join(' ').trim() }
  }

  async setServing(serving: boolean): Promise<void> {
    try {
      const current = observeCurrent(this.#layout)
      if (serving && current.kind === 'release') writeServing(this.#layout, current.version)
      else removeServing(this.#layout)
    } catch (error) {
      this.#tell('the serving file', error)
    }
  }

  #relabelServing(results: readonly AttestResult[]): void {
    try {
      const current = observeCurrent(this.#layout)
      if (current.kind !== 'release') return
      const own = results.find(({ version }) => version === current.version)
      if (own?.result === 'whole') relabelServing(this.#layout, current.version)
    } catch (error) {
      this.#tell('the serving file', error)
    }
  }

  /** A release that takes a version's place replaces it; one whose files were bad is let go. */
  #hold(release: Release, staged: StagedRelease): void {
    const suspects = new Set(staged.suspects.map(({ version }) => version))
    for (const version of suspects) this.#ports.onDrift(version, staged)
    this.#held = [
      ...this.#held.filter((h) => h.version !== release.version && !suspects.has(h.version)),
      release,
    ]
    this.#ports.onStaged(staged)
  }

  #tell(doing: string, error: unknown): void {
    if (!(error instanceof LockstepError)) throw error
    this.#ports.onProblem(doing, error)
  }
}

const notConnected: Failure = {
  code: 'unreachable',
  message: 'there has been no session with the controller yet',
  hint: 'The agent tries again as soon as it is connected.',
}

/** What the world did wrong as a failure; anything else is a fault of the program and ends it. */
function failureOf(error: unknown): Failure {
  if (!(error instanceof LockstepError)) throw error
  const { code, message, hint } = error
  return { code, message, ...(hint === undefined ? {} : { hint }) }
}
