// What tests of publishing and of content share: a data directory, a publisher with real timers and
// fast syncs, and ways to look at what it left on the disk.

import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { openFileContentStore } from '#controller/content/file-content-store.ts'
import type { ContentStore } from '#controller/content/ports.ts'
import type { StartTimer } from '#controller/publishing/progress-watchdog.ts'
import {
  createPublisher,
  type PublishedTree,
  type PublishRelease,
} from '#controller/publishing/publish-release.ts'
import { formatManifest, type ManifestEntry } from '#shared/manifest.ts'

export const realTimer: StartTimer = (delayMs, fire) => {
  const timer = setTimeout(fire, delayMs)
  return () => clearTimeout(timer)
}

/** A store whose durable points cost nothing: that they are real is tested once. */
export function openTestStore(root: string): Promise<ContentStore> {
  return openFileContentStore(root, () => Promise.resolve())
}

export function buildPublisher(content: ContentStore): PublishRelease {
  return createPublisher({ content, startTimer: realTimer })
}

/** Publishes bytes in memory, in chunks of `chunkBytes`. */
export function publishBytes(
  publish: PublishRelease,
  bytes: Buffer,
  options: { strip?: number; chunkBytes?: number; signal?: AbortSignal } = {},
): Promise<PublishedTree> {
  return publish({
    stream: streamOf(bytes, options.chunkBytes ?? 64 * 1024),
    strip: options.strip ?? 0,
    signal: options.signal ?? new AbortController().signal,
  })
}

export function streamOf(bytes: Buffer, chunkBytes: number): Readable {
  const count = Math.ceil(bytes.length / chunkBytes)
  const chunks = Array.from({ length: count }, (_, index) =>
    bytes.subarray(index * chunkBytes, (index + 1) * chunkBytes),
  )
  return Readable.from(chunks, { objectMode: false, highWaterMark: chunkBytes })
}

/** Every file and directory below `root`, sorted, with sizes. */
export function listingOf(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .map((entry) => {
      const path = join(entry.parentPath, entry.name)
      return entry.isFile() ? `${path} ${lstatSync(path).size}` : path
    })
    .toSorted()
}

/** The manifest of what lies below `root`, made from the disk alone. */
export function manifestOfDirectory(root: string): string {
  return formatManifest(entriesBelow(root, ''))
}

function entriesBelow(root: string, above: string): ManifestEntry[] {
  return readdirSync(join(root, above)).flatMap((name): ManifestEntry[] => {
    const path = above === '' ? name : `${above}/${name}`
    const stats = lstatSync(join(root, path))
    const mode = stats.mode & 0o755
    if (stats.isSymbolicLink()) {
      return [{ type: 'link', path, target: readlinkSync(join(root, path)) }]
    }
    if (stats.isDirectory()) {
      return [{ type: 'directory', path, mode }, ...entriesBelow(root, path)]
    }
    const bytes = readFileSync(join(root, path))
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    return [{ type: 'file', path, mode, sizeBytes: bytes.length, sha256 }]
  })
}
