// Takes a tarball in, once: what it holds goes into the content store file by file, its manifest
// and its own bytes beside them. Extracts nothing. Knows no apps and versions: recording that a
// version names this tree is for the caller's `record`.
//
//   upload ─ kept as artifact ─ unpacked ─ parsed strictly ─ content by hash ─ manifest ─ durable ─ recorded

import type { Readable } from 'node:stream'
import { readArchive } from '#shared/archive/archive-reader.ts'
import { type ArchivedRelease, readRelease } from '#shared/archive/archived-release.ts'
import { unpack } from '#shared/archive/compression.ts'
import type { Requires } from '#shared/descriptor.ts'
import type { ContentBatch, ContentStore } from '../content/ports.ts'
import { abortable } from './abortable-iteration.ts'
import { ProgressWatchdog, type StartTimer } from './progress-watchdog.ts'
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

export interface PublishedTree extends ArchivedRelease {
  /** SHA-256 of the tarball as it was uploaded. */
  artifact: string
  artifactBytes: number
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
  const { signal, strip, requires = null } = request
  const artifact = await batch.createWriter('artifacts')
  const upload = moving(receive(request.stream, signal), progress)
  const events = abortable(readArchive(unpack(kept(upload, artifact))), signal)
  const content = {
    put: (bytes: Uint8Array) => batch.put('content', bytes),
    createWriter: () => batch.createWriter('content'),
  }
  const release = await readRelease(moving(events, progress), { strip, requires, content })
  const { sha256, sizeBytes } = await artifact.finish()
  await batch.put('manifests', Buffer.from(release.manifest))
  signal.throwIfAborted()
  await batch.commit()
  const published = { ...release, artifact: sha256, artifactBytes: sizeBytes }
  await request.record?.(published)
  return published
}

async function* moving<Item>(
  items: AsyncIterable<Item>,
  progress: () => void,
): AsyncGenerator<Item> {
  for await (const item of items) {
    progress()
    yield item
  }
}
