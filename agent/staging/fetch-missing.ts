// Brings the files that neither an interrupted stage nor a held release had: by the delta that
// costs least, and by the full pack when a delta turns out to be of no use.

import type { ContentClient } from '../adapters/content-client.ts'
import type { AppLayout } from '../layout/app-layout.ts'
import { choosePack, type HeldTree, type PackChoice } from './choose-pack.ts'
import { fetchPack } from './fetch-pack.ts'
import { contentsOf, storedManifest } from './load-manifest.ts'
import { LockstepError } from '#shared/errors.ts'
import type { ManifestEntry, ManifestFile } from '#shared/manifest.ts'
import type { Release } from '#shared/release.ts'

export interface FetchFacts {
  readonly packs: readonly ('full' | { readonly from: string })[]
}

export interface FetchRequest {
  readonly client: ContentClient
  readonly layout: AppLayout
  readonly tree: string
  readonly held: readonly Release[]
  /** All of the manifest, in its order. */
  readonly entries: readonly ManifestEntry[]
  /** What lacks, and where it goes. */
  readonly lacking: ReadonlyMap<ManifestFile, string>
  readonly restartsMax: number
  readonly onBytes: (bytes: number) => void
}

/** @throws LockstepError as `fetchPack`. */
export async function fetchMissing(request: FetchRequest): Promise<FetchFacts> {
  const packs: ('full' | { from: string })[] = []
  const wanted = new Map([...request.lacking].map(([file, target]) => [file.path, target]))
  if (wanted.size === 0) return { packs }
  const lacking = [...request.lacking.keys()]
  let held = heldTrees(request)
  for (;;) {
    const choice = choosePack(request.entries, lacking, held)
    if (choice.from === null) break
    packs.push({ from: choice.from })
    const outcome = await fetchDelta(request, choice, wanted)
    if (wanted.size === 0) return { packs }
    if (outcome !== 'not-told') break
    // The controller does not know that this host holds it, so another one has to do.
    held = held.filter(({ tree }) => tree !== choice.from)
  }
  packs.push('full')
  await fetchOne(request, { from: null, expected: request.entries }, wanted)
  return { packs }
}

/** A delta is never more than a saving: what is wrong with it costs a full pack, not the stage. */
async function fetchDelta(
  request: FetchRequest,
  choice: PackChoice,
  wanted: Map<string, string>,
): Promise<'fetched' | 'useless' | 'not-told'> {
  try {
    await fetchOne(request, choice, wanted)
    return 'fetched'
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error
    if (error.code === 'not-told') return 'not-told'
    if (['content-mismatch', 'unknown-tree'].includes(error.code)) return 'useless'
    throw error
  }
}

async function fetchOne(
  request: FetchRequest,
  choice: PackChoice,
  wanted: Map<string, string>,
): Promise<void> {
  const { client, tree, restartsMax, onBytes } = request
  await fetchPack(client, { tree, ...choice, wanted, restartsMax, onBytes })
}

function heldTrees(request: FetchRequest): HeldTree[] {
  const trees = new Set(request.held.map(({ tree }) => tree))
  trees.delete(request.tree)
  return [...trees].flatMap((tree) => {
    const manifest = storedManifest(request.layout, tree)
    return manifest === null ? [] : [{ tree, contents: contentsOf(manifest) }]
  })
}
