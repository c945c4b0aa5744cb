// Everything that the controller serves of releases' bytes: manifests, packs and artifacts, each as
// bytes that never change, so that a route can answer any range of them. The composition root opens
// it once for a data directory, together with the store that publishing writes to.

import { LockstepError } from '#shared/errors.ts'
import { parseDigest } from '#shared/ids.ts'
import { limits } from '#shared/limits.ts'
import { ContentLayout } from './content-layout.ts'
import { openFileContentStore } from './file-content-store.ts'
import { etagOf, type OpenedContent } from './opened-content.ts'
import { unknownTree } from './pack-builder.ts'
import { PackCache } from './pack-cache.ts'
import type { ContentKind, ContentStore, SweepReport, SweepRequest } from './ports.ts'

/** Every digest is judged; one that is malformed is refused with `bad-name`. */
export interface ContentLibrary {
  /** Where publishing puts what a tarball holds. */
  readonly store: ContentStore
  /** @throws LockstepError `unknown-tree`. */
  openManifest(tree: string): Promise<OpenedContent>
  /**
   * The pack of tree `to`: whole, or only the files whose content does not occur in tree `from`.
   * The first to ask waits until it is built.
   * @throws LockstepError `unknown-tree` for either, `busy`, `disk-error`, `no-space`.
   */
  openPack(to: string, from: string | null): Promise<OpenedContent>
  /** @throws LockstepError `not-found`. */
  openArtifact(sha256: string): Promise<OpenedContent>
  /**
   * Removes what no recorded release is made of; what is being read or published stays.
   * @throws LockstepError `disk-error`.
   */
  sweep(request: SweepRequest): Promise<SweepReport>
  /** Ends what is being built. Whoever reads may finish. */
  close(): Promise<void>
}

/**
 * @param root the data directory; created, and cleaned of what a killed controller left half-done
 * @throws LockstepError `disk-error`, `no-space`.
 */
export async function openContentLibrary(
  root: string,
  packCacheBytesMax: number = limits.packCacheBytesMax,
): Promise<ContentLibrary> {
  const store = await openFileContentStore(root)
  const ports = { layout: new ContentLayout(root), content: store }
  const packs = await PackCache.open(ports, packCacheBytesMax)
  return {
    store,
    openManifest: (tree) => openStored(store, 'manifests', tree, () => unknownTree(tree)),
    openPack: async (to, from) =>
      await packs.use({ to: parseDigest(to), from: from === null ? null : parseDigest(from) }),
    openArtifact: (sha256) => openStored(store, 'artifacts', sha256, () => unknownArtifact(sha256)),
    sweep: (request) => sweep(request, store, packs),
    close: () => packs.close(),
  }
}

async function openStored(
  store: ContentStore,
  kind: ContentKind,
  sha256: string,
  missing: () => LockstepError,
): Promise<OpenedContent> {
  const close = await store.claim(kind, sha256)
  try {
    const sizeBytes = await store.sizeOf(kind, sha256)
    if (sizeBytes === null) throw missing()
    return {
      sizeBytes,
      etag: etagOf(sha256),
      read: (range) => store.read(kind, sha256, range),
      close,
    }
  } catch (error) {
    close()
    throw error
  }
}

/** Content first: of a tree whose manifest is gone no pack can be begun any more. */
async function sweep(
  { recorded, dryRun }: SweepRequest,
  store: ContentStore,
  packs: PackCache,
): Promise<SweepReport> {
  const trees = new Set<string>()
  const content = await store.sweep({
    dryRun,
    recorded: async () => {
      const all = await recorded()
      for (const tree of all.trees) trees.add(tree)
      return all
    },
  })
  const unneeded = await packs.forget((to) => !trees.has(to), dryRun)
  return { files: content.files + unneeded.files, bytes: content.bytes + unneeded.bytes }
}

function unknownArtifact(sha256: string): LockstepError {
  return new LockstepError('not-found', `There is no artifact ${sha256}`, {
    hint: 'Restore the data directory, or publish the same tarball again.',
  })
}
