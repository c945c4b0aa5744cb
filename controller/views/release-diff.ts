// What is different between two releases: the differences themselves in pages, and exact totals with
// each of them. Both manifests stay readable until it is done, whatever is removed meanwhile.

import type { DifferenceView, DiffView } from '#shared/api/release-schemas.ts'
import type { ManifestEntry } from '#shared/manifest.ts'
import type { ContentLibrary } from '../content/content-library.ts'
import { manifestEntries } from '../content/manifest-entries.ts'
import type { OpenedContent } from '../content/opened-content.ts'
import type { PublishedRelease } from '../store/release-store.ts'
import { differenceOf, type EntryBatches, pairedEntries } from './tree-comparison.ts'

interface DiffPage {
  /** How many differences are left out at the beginning. */
  readonly after: number
  readonly limit: number
}

/** @throws LockstepError `unknown-tree`, `disk-error`. */
export async function diffOf(
  content: Pick<ContentLibrary, 'openManifest'>,
  from: PublishedRelease,
  to: PublishedRelease,
  page: DiffPage,
): Promise<DiffView> {
  const old = await content.openManifest(from.tree)
  try {
    const young = await content.openManifest(to.tree)
    try {
      return { ...namesOf(from, to), ...(await compared(old, young, page)) }
    } finally {
      young.close()
    }
  } finally {
    old.close()
  }
}

type Names = Pick<DiffView, 'app' | 'from' | 'to'>

function namesOf(from: PublishedRelease, to: PublishedRelease): Names {
  const reference = ({ version, tree }: PublishedRelease) => ({ version, tree })
  return { app: to.app, from: reference(from), to: reference(to) }
}

async function compared(
  old: OpenedContent,
  young: OpenedContent,
  { after, limit }: DiffPage,
): Promise<Omit<DiffView, keyof Names>> {
  const held = await contentOf(manifestEntries(await old.read()))
  const totals = { added: tally(), removed: tally(), changed: tally(), same: tally() }
  const delta = { files: 0, bytes: 0 }
  const items: DifferenceView[] = []
  let differences = 0
  const entries = (opened: OpenedContent) => opened.read().then(manifestEntries)
  for await (const pairs of pairedEntries(await entries(old), await entries(young))) {
    for (const pair of pairs) {
      const difference = differenceOf(pair)
      const total = totals[difference?.change ?? 'same']
      total.entries += 1
      total.bytes += bytesOf(pair.to ?? pair.from)
      if (pair.to?.type === 'file' && !held.has(pair.to.sha256)) {
        delta.files += 1
        delta.bytes += pair.to.sizeBytes
      }
      if (difference === null) continue
      differences += 1
      if (differences > after && items.length < limit) items.push(difference)
    }
  }
  const shown = after + items.length
  return { totals, delta, items, next: shown < differences ? String(shown) : null }
}

/** The hashes of all files: a pack brings what is not among them. */
async function contentOf(batches: EntryBatches): Promise<ReadonlySet<string>> {
  const content = new Set<string>()
  for await (const batch of batches) {
    for (const entry of batch) if (entry.type === 'file') content.add(entry.sha256)
  }
  return content
}

function tally(): { entries: number; bytes: number } {
  return { entries: 0, bytes: 0 }
}

function bytesOf(entry: ManifestEntry | null): number {
  return entry?.type === 'file' ? entry.sizeBytes : 0
}
