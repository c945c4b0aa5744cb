// The packs that are kept ready: built once on demand however many ask, and the least recently used
// removed when they take too much room, but never one that somebody reads.

import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import type { ContentLayout } from './content-layout.ts'
import { withDiskErrors } from './disk-error.ts'
import { readFileRange } from './file-content-store.ts'
import { ReadGarbage } from './read-garbage.ts'
import { etagOf, type OpenedContent } from './opened-content.ts'
import { type BuiltPack, buildPack, type PackKey, parsePackName } from './pack-builder.ts'
import type { ContentStore } from './ports.ts'

interface CachedPack extends BuiltPack {
  /** The tree that it brings. */
  to: string
  readers: number
}

interface PackPorts {
  layout: ContentLayout
  content: ContentStore
}

export class PackCache {
  readonly #ports: PackPorts
  readonly #bytesMax: number
  /** In order of use, the longest unused first. */
  readonly #packs = new Map<string, CachedPack>()
  readonly #builds = new Map<string, Promise<void>>()
  readonly #removals = new Map<string, Promise<void>>()
  readonly #slots = new Slots(limits.packBuildsMax)
  readonly #closing = new AbortController()
  readonly #garbage = new ReadGarbage()

  private constructor(ports: PackPorts, bytesMax: number) {
    this.#ports = ports
    this.#bytesMax = bytesMax
  }

  /**
   * Finds what earlier runs built and removes what they left unfinished.
   * @throws LockstepError `disk-error`.
   */
  static async open(ports: PackPorts, bytesMax: number): Promise<PackCache> {
    const cache = new PackCache(ports, bytesMax)
    await withDiskErrors('The packs could not be listed', () => cache.#find())
    return cache
  }

  /**
   * @throws LockstepError `unknown-tree`, `bad-name` for a malformed digest, `disk-error`,
   *   `no-space`.
   */
  async use(key: PackKey): Promise<OpenedContent> {
    const pack = await this.#pinned(key)
    const opened = this.#opened(pack)
    try {
      await this.#evict()
    } catch (error) {
      opened.close()
      throw error
    }
    return opened
  }

  /**
   * Removes the packs of trees that `isUnneeded` says are, unless somebody reads them.
   * @param dryRun counts them only
   * @throws LockstepError `disk-error`.
   */
  async forget(
    isUnneeded: (to: string) => boolean,
    dryRun: boolean,
  ): Promise<{ files: number; bytes: number }> {
    const unused = [...this.#packs].filter(([, pack]) => pack.readers === 0 && isUnneeded(pack.to))
    if (!dryRun) await Promise.all(unused.map(([id, pack]) => this.#remove(id, pack)))
    const bytes = unused.reduce((sum, [, pack]) => sum + pack.sizeBytes, 0)
    return { files: unused.length, bytes }
  }

  /** Stops building; what is half-built is removed. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the pack cache is closed'))
    await Promise.allSettled(this.#builds.values())
  }

  async #pinned(key: PackKey): Promise<CachedPack> {
    const id = idOf(key)
    let pack = this.#packs.get(id)
    // What was built may be evicted again before this function goes on.
    while (pack === undefined) {
      await this.#built(key)
      pack = this.#packs.get(id)
    }
    pack.readers += 1
    this.#packs.delete(id)
    this.#packs.set(id, pack)
    return pack
  }

  #opened(pack: CachedPack): OpenedContent {
    let isOpen = true
    return {
      sizeBytes: pack.sizeBytes,
      etag: etagOf(pack.sha256),
      read: (range) =>
        withDiskErrors('A pack could not be read', () =>
          readFileRange(pack.path, range, this.#garbage),
        ),
      close: () => {
        if (isOpen) pack.readers -= 1
        isOpen = false
      },
    }
  }

  #built(key: PackKey): Promise<void> {
    const id = idOf(key)
    const running = this.#builds.get(id)
    if (running !== undefined) return running
    const build = this.#slots
      .run(() => withDiskErrors('A pack could not be built', () => this.#build(key)))
      .finally(() => this.#builds.delete(id))
    this.#builds.set(id, build)
    return build
  }

  async #build(key: PackKey): Promise<void> {
    this.#closing.signal.throwIfAborted()
    await this.#removals.get(idOf(key))
    const built = await buildPack(key, this.#ports, this.#closing.signal)
    this.#packs.set(idOf(key), { ...built, to: key.to, readers: 0 })
  }

  async #evict(): Promise<void> {
    let total = [...this.#packs.values()].reduce((sum, pack) => sum + pack.sizeBytes, 0)
    const unused = [...this.#packs].filter(([, pack]) => pack.readers === 0)
    const evicted = unused.filter(([, pack]) => {
      const isTooMuch = total > this.#bytesMax
      if (isTooMuch) total -= pack.sizeBytes
      return isTooMuch
    })
    await Promise.all(evicted.map(([id, pack]) => this.#remove(id, pack)))
  }

  /** Forgets the pack at once; building it again waits until the old file is gone. */
  #remove(id: string, pack: CachedPack): Promise<void> {
    this.#packs.delete(id)
    const removal = withDiskErrors('A pack could not be removed', () =>
      rm(pack.path, { force: true }),
    ).finally(() => this.#removals.delete(id))
    this.#removals.set(id, removal)
    return removal
  }

  async #find(): Promise<void> {
    const found: { id: string; pack: CachedPack; builtAt: number }[] = []
    for (const name of await readdir(this.#ports.layout.packs)) {
      const path = join(this.#ports.layout.packs, name)
      const key = parsePackName(name)
      if (key === null) {
        await rm(path, { recursive: true, force: true })
        continue
      }
      const { size, mtimeMs } = await stat(path)
      const pack = { path, sha256: key.sha256, sizeBytes: size, to: key.to, readers: 0 }
      found.push({ id: idOf(key), pack, builtAt: mtimeMs })
    }
    for (const { id, pack } of found.toSorted((a, b) => a.builtAt - b.builtAt)) {
      this.#packs.set(id, pack)
    }
  }
}

function idOf(key: PackKey): string {
  return `${key.to}.${key.from ?? 'full'}`
}

/** Lets a number of tasks run at once; the others wait in order. */
class Slots {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#free = count
  }

  async run<Value>(task: () => Promise<Value>): Promise<Value> {
    if (this.#waiting.length >= limits.packBuildsWaitingMax) throw busy()
    if (this.#free > 0) this.#free -= 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await task()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free += 1
      else next()
    }
  }
}

function busy(): LockstepError {
  return new LockstepError('busy', 'Too many packs are waiting to be built', {
    hint: 'Agents try again by themselves.',
  })
}
