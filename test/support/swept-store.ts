// A content store with a list of recorded releases beside it, as the controller has one: publishes
// tarballs, forgets releases, sweeps, and looks whether every recorded release is whole on the disk.

import { existsSync, readFileSync } from 'node:fs'
import { ContentLayout } from '#controller/content/content-layout.ts'
import { removeFile } from '#controller/content/content-sweep.ts'
import { openFileContentStore } from '#controller/content/file-content-store.ts'
import type { ContentStore, RecordedContent, SweepReport } from '#controller/content/ports.ts'
import { sha256Hex } from '#shared/ids.ts'
import { parseManifest } from '#shared/manifest.ts'
import { archive, file } from './archives.ts'
import { realTimer, streamOf } from './publishing.ts'
import { createPublisher } from '#controller/publishing/publish-release.ts'

/** Where a test may hold the store up. Without it everything goes on at once. */
export interface Gates {
  /** Twice in every publish: before what it wrote is findable, and after. */
  readonly sync?: () => Promise<void>
  /** Before each file that a sweep removes. */
  readonly remove?: (path: string) => Promise<void>
  /** When a publish is durable, before it is recorded. */
  readonly record?: () => Promise<void>
  /** When a sweep has been told what is recorded. */
  readonly recorded?: () => Promise<void>
}

export class SweptStore {
  readonly root: string
  readonly store: ContentStore
  readonly #gates: Gates
  /** Name → tree and artifact. */
  readonly #releases = new Map<string, { tree: string; artifact: string }>()

  private constructor(root: string, store: ContentStore, gates: Gates) {
    this.root = root
    this.store = store
    this.#gates = gates
  }

  static async open(root: string, gates: Gates = {}): Promise<SweptStore> {
    const store = await openFileContentStore(
      root,
      async () => gates.sync?.(),
      async (path) => {
        await gates.remove?.(path)
        await removeFile(path)
      },
    )
    return new SweptStore(root, store, gates)
  }

  /** Files by name with their content. @returns the tree */
  async publish(name: string, files: Readonly<Record<string, string>>): Promise<string> {
    const entries = Object.entries(files).map(([path, content]) => file(path, content))
    const publisher = createPublisher({ content: this.store, startTimer: realTimer })
    const { tree } = await publisher({
      stream: streamOf(archive(...entries), 64 * 1024),
      strip: 0,
      signal: new AbortController().signal,
      record: async (published) => {
        await this.#gates.record?.()
        const { artifact } = published
        this.#releases.set(name, { tree: published.tree, artifact })
      },
    })
    return tree
  }

  forget(name: string): void {
    this.#releases.delete(name)
  }

  /** As after a restart. */
  know(name: string, tree: string, artifact: string): void {
    this.#releases.set(name, { tree, artifact })
  }

  recorded(): RecordedContent {
    const releases = [...this.#releases.values()]
    return {
      trees: new Set(releases.map(({ tree }) => tree)),
      artifacts: new Set(releases.map(({ artifact }) => artifact)),
    }
  }

  sweep(dryRun = false): Promise<SweepReport> {
    const recorded = async (): Promise<RecordedContent> => {
      const now = this.recorded()
      await this.#gates.recorded?.()
      return now
    }
    return this.store.sweep({ recorded, dryRun })
  }

  /** What is lacking of the recorded releases; empty when all of them are whole. */
  lacking(): string[] {
    const { trees, artifacts } = this.recorded()
    return [
      ...[...trees].flatMap((tree) => lackingOf(this.root, tree)),
      ...[...artifacts].flatMap((artifact) => wrong(this.root, 'artifacts', artifact)),
    ]
  }
}

function lackingOf(root: string, tree: string): string[] {
  const manifest = wrong(root, 'manifests', tree)
  if (manifest.length > 0) return manifest
  const text = readFileSync(new ContentLayout(root).pathOf('manifests', tree), 'utf8')
  return parseManifest(text).flatMap((entry) =>
    entry.type === 'file' ? wrong(root, 'content', entry.sha256) : [],
  )
}

function wrong(
  root: string,
  kind: 'content' | 'manifests' | 'artifacts',
  sha256: string,
): string[] {
  const path = new ContentLayout(root).pathOf(kind, sha256)
  if (!existsSync(path)) return [`${kind} ${sha256} is lacking`]
  return sha256Hex(readFileSync(path)) === sha256 ? [] : [`${kind} ${sha256} is damaged`]
}

/** A random schedule that can be repeated: lets other work go first, some rounds at a time. */
export function stumbling(seed: number): () => Promise<void> {
  let state = seed
  return async () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    const rounds = Math.floor((state / 2 ** 31) * 6)
    for (let round = 0; round < rounds; round += 1) await new Promise(setImmediate)
  }
}
