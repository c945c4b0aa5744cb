// Builds one pack: the canonical tar of what a release has beyond another, compressed with zstd, as
// a file whose name says its SHA-256. Streams; keeps nothing when it fails.

import { createHash } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { constants, createZstdCompress } from 'node:zlib'
import { canonicalTarBytes } from '#shared/canonical-tar.ts'
import { LockstepError } from '#shared/errors.ts'
import { type ManifestEntry, parseManifest } from '#shared/manifest.ts'
import { packFormat } from '#shared/pack-format.ts'
import type { ContentLayout } from './content-layout.ts'
import { packBytes } from './pack-stream.ts'
import type { ContentStore } from './ports.ts'

export interface PackKey {
  /** Tree digest of the release. */
  to: string
  /** Tree digest of what the host holds already, or null for the whole release. */
  from: string | null
}

export interface BuiltPack {
  path: string
  sha256: string
  sizeBytes: number
}

/** `<to>.<from or full>.<sha256 of the pack>` */
export function packNameOf(key: PackKey, sha256: string): string {
  return `${key.to}.${key.from ?? 'full'}.${sha256}`
}

/** The key and hash that a file name says, or null when it is no finished pack. */
export function parsePackName(name: string): (PackKey & { sha256: string }) | null {
  const fields = /^([0-9a-f]{64})\.(full|[0-9a-f]{64})\.([0-9a-f]{64})$/.exec(name)
  const [, to, from, sha256] = fields ?? []
  if (to === undefined || from === undefined || sha256 === undefined) return null
  return { to, from: from === 'full' ? null : from, sha256 }
}

/**
 * @throws LockstepError `unknown-tree` when there is no such release, `disk-error` when stored
 *   content is damaged; what the operating system says as it is.
 */
export async function buildPack(
  key: PackKey,
  ports: { layout: ContentLayout; content: ContentStore },
  signal: AbortSignal,
): Promise<BuiltPack> {
  const { layout, content } = ports
  const temporary = join(layout.packs, `${key.to}.${key.from ?? 'full'}.tmp`)
  // As long as a tree's manifest is claimed, its content is not swept either.
  const letGo = await content.claim('manifests', key.to)
  try {
    const entries = await packedEntries(key, content)
    const { sha256, sizeBytes } = await compressInto(temporary, entries, content, signal)
    const path = join(layout.packs, packNameOf(key, sha256))
    await rename(temporary, path)
    return { path, sha256, sizeBytes }
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  } finally {
    letGo()
  }
}

/**
 * @param tree a tree digest
 * @throws LockstepError `unknown-tree`.
 */
export async function readManifest(
  tree: string,
  content: ContentStore,
): Promise<readonly ManifestEntry[]> {
  const letGo = await content.claim('manifests', tree)
  try {
    if ((await content.sizeOf('manifests', tree)) === null) throw unknownTree(tree)
    return parseManifest((await content.readWhole('manifests', tree)).toString('utf8'))
  } finally {
    letGo()
  }
}

export function unknownTree(tree: string): LockstepError {
  return new LockstepError('unknown-tree', `No release has the tree digest ${tree}`, {
    hint: 'The list of an app\u2019s releases names their trees: `lockstep releases APP --json`.',
  })
}

/** Whole: everything. Beyond another tree: the files whose content it does not hold anywhere. */
async function packedEntries(
  key: PackKey,
  content: ContentStore,
): Promise<readonly ManifestEntry[]> {
  const entries = await readManifest(key.to, content)
  if (key.from === null) return entries
  const held = new Set<string>()
  for (const entry of await readManifest(key.from, content)) {
    if (entry.type === 'file') held.add(entry.sha256)
  }
  return entries.filter((entry) => entry.type === 'file' && !held.has(entry.sha256))
}

async function compressInto(
  path: string,
  entries: readonly ManifestEntry[],
  content: ContentStore,
  signal: AbortSignal,
): Promise<{ sha256: string; sizeBytes: number }> {
  const file = await open(path, 'w', 0o600)
  try {
    const hash = createHash('sha256')
    let sizeBytes = 0
    const compressor = createZstdCompress({
      chunkSize: 256 * 1024,
      pledgedSrcSize: canonicalTarBytes(entries),
      params: {
        [constants.ZSTD_c_compressionLevel]: packFormat.compressionLevel,
        [constants.ZSTD_c_checksumFlag]: packFormat.checksumFlag,
      },
    })
    await pipeline(
      packBytes(entries, content),
      compressor,
      async (compressed: AsyncIterable<Buffer>) => {
        for await (const chunk of compressed) {
          hash.update(chunk)
          sizeBytes += chunk.length
          await file.writeFile(chunk)
        }
      },
      { signal },
    )
    // A pack outlives a restart, so a power loss must not leave its name with other bytes.
    await file.sync()
    return { sha256: hash.digest('hex'), sizeBytes }
  } finally {
    await file.close()
  }
}
