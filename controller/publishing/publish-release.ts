// Takes a tarball in, once: what it holds goes into the content store file by file, its manifest
// and its own bytes beside them. Extracts nothing. Knows no apps and versions: recording that a
// version names this tree is for the caller's `record`.
//
//   upload ─ kept as artifact ─ unpacked ─ parsed strictly ─ content by hash ─ manifest ─ durable ─ recorded

import type { Readable } from 'node:stream'
import type { Requires } from '#shared/descriptor.ts'
import { formatManifest, treeBytesOf, treeDigestOf } from '#shared/manifest.ts'
import { limits } from '#shared/limits.ts'
import { LockstepError } from '#shared/errors.ts'
import type { ContentBatch, ContentStore } from '../content/ports.ts'
import { abortable } from './abortable-iteration.ts'
import { readArchive } from './archive-reader.ts'
import { unpack } from './compression.ts'
import { ContentIntake } from './content-intake.ts'
import { DescriptorIntake } from './descriptor-intake.ts'
import { ProgressWatchdog, type StartTimer } from './progress-watchdog.ts'
import { ReleaseTree } from './release-tree.ts'
import { kept, receive } from './upload.ts'

export interface PublishRequest {
  /** The tarball: plain, gzip or zstd. Left open and unread when it is refused early. */
  stream: Readable
  /** Leading segments to remove from every name, as `tar --strip-components` does. */
  strip: number
  /** What the release requires of hosts, for a tarball without a descriptor. */
  requires?: Requires | undefined
  /**
   * Called when all of it is durable: until this is done no sweep touches anything of it. Without it
   * what was stored belongs to nothing.
   */
  record?: (published: PublishedTree) => Promise<void>
  /** Aborted when nobody waits for the result any more. */
  signal: AbortSignal
}

export interface PublishedTree {
  /** The tree digest: SHA-256 of the manifest. */
  tree: string
  manifest: string
  /** SHA-256 of the tarball as it was uploaded. */
  artifact: string
  artifactBytes: number
  /** Of the manifest, implied directories included. */
  entries: number
  /** What all files have together. */
  treeBytes: number
  /** Of the descriptor; null without one. */
  requires: Requires | null
}

export type PublishRelease = (request: PublishRequest) => Promise<PublishedTree>

/**
 * The returned function rejects with LockstepError `bad-archive`, `refused-entry`,
 * `bad-descriptor`, `archive-too-large`, `stalled`, `disk-error` or `no-space`, or with the signal's
 * reason, and then leaves nothing behind. When it resolves, everything it stored survives a power loss.
 */
export function createPublisher(ports: {
  content: ContentStore
  startTimer: StartTimer
}): PublishRelease {
  return async (request) => {
    const batch = await ports.content.begin()
    const watchdog = new ProgressWatchdog(ports.startTimer)
    const signal = AbortSignal.any([request.signal, watchdog.signal])
    try {
      return await publish({ ...request, signal }, batch, () => watchdog.progress())
    } finally {
      watchdog.stop()
      await batch.discard()
    }
  }
}

async function publish(
  request: PublishRequest,
  batch: ContentBatch,
  progress: () => void,
): Promise<PublishedTree> {
  const { signal } = request
  const artifact = await batch.createWriter('artifacts')
  const tree = new ReleaseTree(request.strip)
  const descriptor = new DescriptorIntake(request.requires ?? null)
  const intake = new ContentIntake(batch, tree, descriptor)
  const upload = moving(receive(request.stream, signal), progress)
  for await (const event of abortable(readArchive(unpack(kept(upload, artifact))), signal)) {
    progress()
    await intake.take(event)
  }
  const { sha256, sizeBytes } = await artifact.finish()
  const requires = await descriptor.settle(tree, batch)
  const entries = tree.entries()
  const manifest = checkedLength(formatManifest(entries))
  await batch.put('manifests', Buffer.from(manifest))
  signal.throwIfAborted()
  await batch.commit()
  const published: PublishedTree = {
    tree: treeDigestOf(manifest),
    manifest,
    artifact: sha256,
    artifactBytes: sizeBytes,
    entries: entries.length,
    treeBytes: treeBytesOf(entries),
    requires,
  }
  await request.record?.(published)
  return published
}

async function* moving(
  chunks: AsyncIterable<Buffer>,
  progress: () => void,
): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    progress()
    yield chunk
  }
}

function checkedLength(manifest: string): string {
  if (Buffer.byteLength(manifest) <= limits.manifestBytesMax) return manifest
  throw new LockstepError('archive-too-large', 'The names in the tarball are too long together', {
    hint: 'Use shorter paths, or pack what consists of many small files into fewer.',
  })
}
