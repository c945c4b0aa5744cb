// What a release is by its tarball alone: its entries, its manifest and its tree digest. The one way
// from archive to tree, for who publishes and for who takes it in, so that both come to the same.

import type { Requires } from '../descriptor.ts'
import { LockstepError } from '../errors.ts'
import { limits } from '../limits.ts'
import { formatManifest, treeBytesOf, treeDigestOf } from '../manifest.ts'
import type { ArchiveEvent } from './archive-reader.ts'
import { ContentIntake, type ContentSink } from './content-intake.ts'
import { DescriptorIntake } from './descriptor-intake.ts'
import { ReleaseTree } from './release-tree.ts'

export interface ReleaseReading {
  /** Leading segments to remove from every name, as `tar --strip-components` does. */
  strip: number
  /** What the release requires of hosts, for a tarball without a descriptor; null for nothing. */
  requires: Requires | null
  content: ContentSink
}

export interface ArchivedRelease {
  /** The tree digest: SHA-256 of the manifest. */
  tree: string
  manifest: string
  /** Of the manifest, implied directories included. */
  entries: number
  /** What all files have together. */
  treeBytes: number
  /** Of the descriptor; null without one. */
  requires: Requires | null
}

/**
 * @param events of one archive, to its end
 * @throws LockstepError `bad-archive`, `refused-entry`, `bad-descriptor`, `archive-too-large`, and
 *   whatever the events and the content sink throw.
 */
export async function readRelease(
  events: AsyncIterable<ArchiveEvent>,
  reading: ReleaseReading,
): Promise<ArchivedRelease> {
  const { content } = reading
  const tree = new ReleaseTree(reading.strip)
  const descriptor = new DescriptorIntake(reading.requires)
  const intake = new ContentIntake(content, tree, descriptor)
  for await (const event of events) await intake.take(event)
  const requires = await descriptor.settle(tree, content)
  const entries = tree.entries()
  const manifest = checkedLength(formatManifest(entries))
  return {
    tree: treeDigestOf(manifest),
    manifest,
    entries: entries.length,
    treeBytes: treeBytesOf(entries),
    requires,
  }
}

function checkedLength(manifest: string): string {
  if (Buffer.byteLength(manifest) <= limits.manifestBytesMax) return manifest
  throw new LockstepError('archive-too-large', 'The names in the tarball are too long together', {
    hint: 'Use shorter paths, or pack what consists of many small files into fewer.',
  })
}
