// A release's manifest: from the disk where its digest is right, else from the controller. What is
// given out always hashes to the tree digest.

import { readFileSync } from 'node:fs'
import type { ContentClient } from '../adapters/content-client.ts'
import { type AppLayout, manifestPath } from '../layout/app-layout.ts'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { sha256Hex } from '#shared/ids.ts'
import { limits } from '#shared/limits.ts'

/** The text; null when there is none on the disk, or one that is damaged. */
export function storedManifest(layout: AppLayout, tree: string): string | null {
  try {
    const bytes = readFileSync(manifestPath(layout, tree))
    return sha256Hex(bytes) === tree ? bytes.toString('utf8') : null
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return null
    throw error
  }
}

/** @throws LockstepError `content-mismatch` when the bytes are not the tree's, and the client's. */
export async function fetchManifest(client: ContentClient, tree: string): Promise<string> {
  const bytes = await client.manifest(tree, limits.manifestBytesMax)
  if (sha256Hex(bytes) === tree) return bytes.toString('utf8')
  throw new LockstepError('content-mismatch', `The manifest does not hash to ${tree}`, {
    hint: 'The agent tries again; if it lasts, the controller’s store or a proxy alters content.',
    details: { tree, found: sha256Hex(bytes), sizeBytes: bytes.length },
  })
}

/** The contents of a tree, from the text of a manifest that was judged when it was staged. */
export function contentsOf(manifest: string): Set<string> {
  const contents = new Set<string>()
  for (const [, sha256 = ''] of manifest.matchAll(/^f\t[0-7]+\t[0-9]+\t([0-9a-f]{64})\t/gm)) {
    contents.add(sha256)
  }
  return contents
}
