// Takes a tarball in, once: what it holds goes into the content store file by file, its manifest
// and its own bytes beside them. Extracts nothing. Knows no apps and versions: recording that a
// version names this tree is for the caller, after this has returned.
//
//   upload ─ kept as artifact ─ unpacked ─ parsed strictly ─ content by hash ─ manifest ─ durable

import type { Readable } from 'node:stream'
import { formatManifest, treeBytesOf, treeDigestOf } from '#shared/manifest.ts'
import { limits } from '#shared/limits.ts'
import { LockstepError } from '#shared/errors.ts'
import type { ContentBatch, ContentStore } from '../content/ports.ts'
import { abortable } from './abortable-iteration.ts'
import { readArchive } from './archive-reader.ts'
import { unpack } from './compression.ts'
import { ContentIntake } from './content-intake.ts'
import { ProgressWatchdog, type StartTimer } from './progress-watchdog.ts'
import { ReleaseTree } from './release-tree.ts'
import { kept, receive } from './upload.ts'

export interface PublishRequest {
  /** The tarball: plain, gzip or zstd. Left open and unread when it is refused early. */
  stream: Readable
  /** Leading segments to remove from every name, as `tar --strip-components` does. */
  strip: number
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
}

export type PublishRelease = (request: PublishRequest) => Promise<PublishedTree>

/**
 * The returned function rejects with LockstepError `bad-archive`, `refused-entry`,
 * `archive-too-large`, `stalled`, `disk-error` or `no-space`, or with the signal's reason, and then
 * leaves nothing behind. When it resolves, everything it stored survives a power loss.
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
  const intake = new ContentIntake(batch, tree)
  const upload = moving(receive(request.stream, signal), progress)
  for await (const event of abortable(readArchive(unpack(kept(upload, artifact))), signal)) {
    progress()
    await intake.take(event)
  }
  const { sha256, sizeBytes } = await artifact.finish()
  const entries = tree.entries()
  const manifest = checkedLength(formatManifest(entries))
  await batch.put('manifests', Buffer.from(manifest))
  signal.throwIfAborted()
  await batch.commit()
  return {
    tree: treeDigestOf(manifest),
    manifest,
    artifact: sha256,
    artifactBytes: sizeBytes,
    entries: entries.length,
    treeBytes: treeBytesOf(entries),
  }
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
