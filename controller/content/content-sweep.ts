// Removes the stored files that no recorded release is made of: manifests first, so that whatever
// tree can still be found is whole, however the sweep ends. Beside publishing and reading it is safe
// by content-claims.ts. Knows no releases: it is told the trees and artifacts that are recorded.

import { lstat, readdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { BoundedTasks } from './bounded-tasks.ts'
import type { ContentClaims } from './content-claims.ts'
import type { ContentLayout } from './content-layout.ts'
import { MarkedContent } from './marked-content.ts'
import type { ContentStore, SweepReport, SweepRequest } from './ports.ts'

interface SweepParts {
  readonly layout: ContentLayout
  readonly claims: ContentClaims
  readonly store: Pick<ContentStore, 'sizeOf' | 'read'>
  /** Removes one file. */
  readonly remove: (path: string) => Promise<void>
}

const digestPattern = /^[0-9a-f]{64}$/

/**
 * @throws LockstepError `disk-error` when a recorded manifest is lacking or damaged: nothing is
 *   removed then.
 */
export async function sweepContent(
  parts: SweepParts,
  { recorded, dryRun }: SweepRequest,
): Promise<SweepReport> {
  const end = parts.claims.beginSweep()
  try {
    // After the beginning: what is recorded later is claimed, or was let go meanwhile.
    const { trees, artifacts } = await recorded()
    const sweep = new Sweep(parts, dryRun)
    for (const tree of trees) await sweep.mark(tree)
    await sweep.manifests(trees)
    await sweep.content()
    await sweep.artifacts(artifacts)
    return sweep.report()
  } finally {
    end()
  }
}

class Sweep {
  readonly #parts: SweepParts
  readonly #dryRun: boolean
  readonly #marked = new MarkedContent()
  #files = 0
  #bytes = 0

  constructor(parts: SweepParts, dryRun: boolean) {
    this.#parts = parts
    this.#dryRun = dryRun
  }

  report(): SweepReport {
    return { files: this.#files, bytes: this.#bytes }
  }

  async mark(tree: string): Promise<void> {
    const { store } = this.#parts
    if ((await store.sizeOf('manifests', tree)) === null) {
      throw new LockstepError(
        'disk-error',
        `The manifest of the recorded tree ${tree} is lacking`,
        {
          hint: 'Publish the same tarball again, or restore the data directory; nothing was swept.',
          details: { tree },
        },
      )
    }
    await this.#marked.addTree(tree, await store.read('manifests', tree))
  }

  async manifests(recorded: ReadonlySet<string>): Promise<void> {
    const { root } = this.#parts.layout
    for (const name of await readdir(join(root, 'manifests'))) {
      if (!digestPattern.test(name) || recorded.has(name)) continue
      const isGone = await this.#remove(join(root, 'manifests', name))
      // Somebody builds a pack of it, or publishes it anew: its content stays, as if it were recorded.
      if (!isGone) await this.mark(name)
    }
  }

  async content(): Promise<void> {
    const above = join(this.#parts.layout.root, 'content')
    for (const first of await readdir(above)) {
      if (!/^[0-9a-f]{2}$/.test(first)) continue
      const tasks = new BoundedTasks(limits.contentWritesMax)
      for (const name of await readdir(join(above, first))) {
        const sha256 = `${first}${name.replace(/\.damaged$/, '')}`
        if (!digestPattern.test(sha256) || this.#marked.has(sha256)) continue
        await tasks.start(async () => void (await this.#remove(join(above, first, name))))
      }
      await tasks.finish()
    }
  }

  async artifacts(recorded: ReadonlySet<string>): Promise<void> {
    const above = join(this.#parts.layout.root, 'artifacts')
    for (const name of await readdir(above)) {
      if (digestPattern.test(name) && !recorded.has(name)) await this.#remove(join(above, name))
    }
  }

  /** @returns false when it is claimed, and stays */
  async #remove(path: string): Promise<boolean> {
    const { claims, remove } = this.#parts
    const { size } = await lstat(path)
    const isGone = this.#dryRun
      ? !claims.isClaimed(path)
      : await claims.removeUnclaimed(path, () => remove(path))
    if (!isGone) return false
    this.#files += 1
    this.#bytes += size
    return true
  }
}

/** What is gone already is as it should be. */
export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw error
  }
}
