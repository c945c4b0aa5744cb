// One stage from beginning to end, in the worker's thread: what is there is kept, what is held is
// reused, what lacks is fetched by one stream, then all of it becomes durable and a version.

import { join } from 'node:path'
import { ContentClient } from '../adapters/content-client.ts'
import { asDiskError } from '../adapters/disk-error.ts'
import { writeDurablySync } from '../adapters/durable-file.ts'
import { FileHasher } from '../attest/hash-file.ts'
import { distrust, readRecordHead } from '../attest/record.ts'
import type { SharedPath } from '../config.ts'
import {
  type AppLayout,
  layoutOf,
  manifestPath,
  seedPath,
  stagePath,
} from '../layout/app-layout.ts'
import { checkSwap, observeCurrent } from '../layout/current-link.ts'
import { keepProven, makeDirectories, removeTree } from './build-directory.ts'
import { type BuildPlan, planBuild } from './build-plan.ts'
import { findStanding } from './standing-version.ts'
import { type FetchFacts, fetchMissing } from './fetch-missing.ts'
import { dress, finishStage } from './finish-stage.ts'
import { checkFreeSpace } from './free-space.ts'
import { fetchManifest, storedManifest } from './load-manifest.ts'
import { ProgressMeter, type StageProgress } from './progress.ts'
import { runningRecord } from './repair-version.ts'
import { ReusePool } from './reuse.ts'
import { missingSharedPaths } from './shared-paths.ts'
import type { StagedRelease, StageRequest } from './stage-request.ts'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { type ManifestEntry, type ManifestFile, parseManifest } from '#shared/manifest.ts'
import type { Release } from '#shared/release.ts'

const leftOutNamedMax = 20

export class StageRun {
  readonly #request: StageRequest
  readonly #layout: AppLayout
  readonly #client: ContentClient
  readonly #hasher = new FileHasher()
  readonly #meter: ProgressMeter
  readonly #bytes = { resumed: 0, linked: 0, copied: 0, written: 0 }
  readonly #tookMs: Record<string, number> = {}

  constructor(request: StageRequest, tell: (progress: StageProgress) => void) {
    this.#request = request
    this.#layout = layoutOf(request.root)
    this.#client = new ContentClient(request, request.tuning)
    this.#meter = new ProgressMeter(tell)
  }

  /** @throws LockstepError as `stageRelease` says. */
  async run(): Promise<StagedRelease> {
    try {
      return await this.#stage()
    } catch (cause) {
      const error = asDiskError(cause, `Staging ${this.#request.release.version}`)
      if (isHopeless(error)) this.#removeStage()
      throw error
    } finally {
      await this.#client.close()
    }
  }

  async #stage(): Promise<StagedRelease> {
    const { release } = this.#request
    checkSwap(this.#layout)
    const sharedPaths = this.#suitableSharedPaths()
    const missing = missingSharedPaths(this.#layout, sharedPaths)
    const manifest = await this.#timed('manifest', () => this.#manifest())
    const entries = parseManifest(manifest.text)
    const plan = planBuild(entries, sharedPaths, missing)
    this.#meter.expect(sumOf([...plan.files, ...plan.seed.files]))
    const standing = await this.#timed('standing', async () =>
      findStanding({
        layout: this.#layout,
        release,
        sharedPaths,
        plan,
        hasher: this.#hasher,
        groupId: this.#request.groupId,
      }),
    )
    if (standing !== 'none') {
      // A crash just behind the rename into `versions/` leaves what that stage had beside it.
      this.#removeStage()
      return this.#resultOf(standing, plan, null, [], [])
    }
    // Before anything is fetched for what could not be put in its place.
    runningRecord(this.#layout, release)
    const lacking = await this.#timed('reuse', async () => this.#build(plan, manifest))
    this.#meter.enter('fetching')
    const facts = await this.#timed('fetch', async () => this.#fetch(entries, lacking.files))
    this.#meter.enter('finishing')
    const { outcome, seeded } = await this.#timed('finish', () =>
      this.#finish(plan, missing, sharedPaths),
    )
    return this.#resultOf(outcome, plan, facts, seeded, lacking.suspects)
  }

  /** What runs keeps those that it was built with: no link is put under a running app. */
  #suitableSharedPaths(): readonly SharedPath[] {
    const { release, sharedPaths } = this.#request
    const current = observeCurrent(this.#layout)
    const isRunning = current.kind === 'release' && current.version === release.version
    const head = isRunning ? readRecordHead(this.#layout, release.version) : null
    return head?.tree === release.tree ? head.sharedPaths : sharedPaths
  }

  async #manifest(): Promise<{ text: string; isStored: boolean }> {
    const { tree } = this.#request.release
    const stored = storedManifest(this.#layout, tree)
    if (stored !== null) return { text: stored, isStored: true }
    return { text: await fetchManifest(this.#client, tree), isStored: false }
  }

  /** Everything that needs no network: what an interrupted stage left, and what releases hold. */
  #build(
    plan: BuildPlan,
    manifest: { text: string; isStored: boolean },
  ): { files: Map<ManifestFile, string>; suspects: ReusePool['suspects'] } {
    const { release, held, reuse, groupId } = this.#request
    this.#meter.enter('reusing')
    const count = (sizeBytes: number): void => {
      this.#bytes.resumed += sizeBytes
      this.#meter.add(sizeBytes)
    }
    const proven = keepProven(this.#stagePath, plan, this.#hasher, count)
    const provenSeeds = keepProven(this.#seedPath, plan.seed, this.#hasher, count)
    const files = plan.files.filter(({ path }) => !proven.has(path))
    const seeds = plan.seed.files.filter(({ path }) => !provenSeeds.has(path))
    const pool = new ReusePool(this.#layout, this.#hasher, { isLinking: reuse === 'auto', groupId })
    pool.search([...this.#drifted(), ...held], [...files, ...seeds])
    this.#checkSpace(plan, [...files.filter((file) => !pool.isLinkable(file)), ...seeds], manifest)
    if (!manifest.isStored) {
      writeDurablySync(manifestPath(this.#layout, release.tree), manifest.text, 0o600)
    }
    makeDirectories(this.#stagePath, plan.directories)
    if (hasAny(plan.seed)) makeDirectories(this.#seedPath, plan.seed.directories)
    const lacking = new Map<ManifestFile, string>()
    for (const file of files) this.#reuse(pool, file, join(this.#stagePath, file.path), lacking)
    for (const file of seeds) {
      this.#reuse(pool, file, join(this.#seedPath, file.path), lacking, false)
    }
    for (const [version, found] of Map.groupBy(pool.suspects, (suspect) => suspect.version)) {
      distrust(this.#layout, version, new Set(found.map(({ path }) => path)))
    }
    return { files: lacking, suspects: pool.suspects }
  }

  /** The same version as it stands: what of it did not drift is the likeliest to be right. */
  #drifted(): Release[] {
    const head = readRecordHead(this.#layout, this.#request.release.version)
    return head === null ? [] : [{ version: head.version, tree: head.tree }]
  }

  #reuse(
    pool: ReusePool,
    file: ManifestFile,
    target: string,
    lacking: Map<ManifestFile, string>,
    mayLink = true,
  ): void {
    const outcome = pool.place(file, target, mayLink)
    if (outcome === 'none') lacking.set(file, target)
    else {
      this.#bytes[outcome] += file.sizeBytes
      this.#meter.add(file.sizeBytes)
    }
  }

  #checkSpace(plan: BuildPlan, files: readonly ManifestFile[], manifest: { text: string }): void {
    const { release, tuning } = this.#request
    const { directories, links, seed } = plan
    checkFreeSpace(
      this.#layout.lockstep,
      {
        fileBytes: files.map(({ sizeBytes }) => sizeBytes),
        otherEntries:
          directories.length + links.length + seed.directories.length + seed.links.length,
        // The record is about as long as the manifest.
        ownBytes: 2 * manifest.text.length,
        marginBytes: tuning.spaceMarginBytes,
        marginInodes: tuning.inodeMargin,
      },
      `Staging ${release.version}`,
    )
  }

  #fetch(
    entries: readonly ManifestEntry[],
    lacking: ReadonlyMap<ManifestFile, string>,
  ): Promise<FetchFacts> {
    return fetchMissing({
      client: this.#client,
      layout: this.#layout,
      tree: this.#request.release.tree,
      held: this.#request.held,
      entries,
      lacking,
      restartsMax: this.#request.tuning.resumesMax,
      onBytes: (bytes) => {
        this.#bytes.written += bytes
        this.#meter.add(bytes)
      },
    })
  }

  async #finish(
    plan: BuildPlan,
    missing: ReadonlySet<string>,
    sharedPaths: readonly SharedPath[],
  ): ReturnType<typeof finishStage> {
    const { release } = this.#request
    dress(this.#stagePath, plan)
    if (hasAny(plan.seed)) dress(this.#seedPath, plan.seed)
    const finished = await finishStage({
      layout: this.#layout,
      release,
      sharedPaths,
      plan,
      missing,
      stage: this.#stagePath,
      seeds: this.#seedPath,
      groupId: this.#request.groupId,
    })
    // After a repair, what was not needed is left there.
    for (const path of [this.#stagePath, this.#seedPath]) removeTree(path)
    return finished
  }

  #resultOf(
    outcome: StagedRelease['outcome'],
    plan: BuildPlan,
    facts: FetchFacts | null,
    seeded: readonly string[],
    suspects: StagedRelease['suspects'],
  ): StagedRelease {
    return {
      ...this.#request.release,
      outcome,
      fileCount: plan.files.length,
      bytes: { ...this.#bytes, received: this.#client.receivedBytes },
      packs: facts?.packs ?? [],
      resumes: this.#client.resumes,
      leftOutCount: plan.leftOut.length,
      leftOut: plan.leftOut.slice(0, leftOutNamedMax),
      seeded,
      suspects,
      tookMs: this.#tookMs,
    }
  }

  get #stagePath(): string {
    return stagePath(this.#layout, this.#request.release.tree)
  }

  get #seedPath(): string {
    return seedPath(this.#layout, this.#request.release.tree)
  }

  async #timed<Value>(step: string, action: () => Promise<Value>): Promise<Value> {
    const startedMs = performance.now()
    try {
      return await action()
    } finally {
      this.#tookMs[step] = Math.round(performance.now() - startedMs)
    }
  }

  /** What cannot be removed now is removed at the next start; the first failure is the one told. */
  #removeStage(): void {
    try {
      for (const path of [this.#stagePath, this.#seedPath]) removeTree(path)
    } catch (error) {
      if (systemCodeOf(error) === undefined) throw error
    }
  }
}

/** A full disk needs the space back, and what a failed sync left cannot be trusted by anybody. */
function isHopeless(error: Error): boolean {
  return error instanceof LockstepError && ['no-space', 'disk-error'].includes(error.code)
}

function hasAny(seed: BuildPlan['seed']): boolean {
  return seed.directories.length + seed.files.length + seed.links.length > 0
}

function sumOf(files: readonly ManifestFile[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}
