// Compares two trees entry by entry, both in the order of their manifests, so that neither has to be
// held in memory. Pure but for waiting for the entries.

import type { DifferenceView } from '#shared/api/release-schemas.ts'
import { comparePaths, type ManifestEntry } from '#shared/manifest.ts'

export type EntryBatches = AsyncIterable<readonly ManifestEntry[]>

/** One path in either tree or in both. */
interface Pair {
  readonly from: ManifestEntry | null
  readonly to: ManifestEntry | null
}

/** Every path of both trees once, in order; some at a time. */
export async function* pairedEntries(
  from: EntryBatches,
  to: EntryBatches,
): AsyncGenerator<readonly Pair[], void, void> {
  const left = new EntryCursor(from)
  const right = new EntryCursor(to)
  for (;;) {
    await left.readOn()
    await right.readOn()
    if (left.isEnded && right.isEnded) return
    yield pairsInReach(left, right)
  }
}

/** Until one of the two has to be read on. */
function pairsInReach(left: EntryCursor, right: EntryCursor): readonly Pair[] {
  const pairs: Pair[] = []
  while (left.isInReach && right.isInReach && !(left.isEnded && right.isEnded)) {
    const order = orderOf(left.entry, right.entry)
    pairs.push({
      from: order <= 0 ? left.entry : null,
      to: order >= 0 ? right.entry : null,
    })
    if (order <= 0) left.goOn()
    if (order >= 0) right.goOn()
  }
  return pairs
}

/** Where in its manifest one of the two trees is. */
class EntryCursor {
  readonly #batches: AsyncIterator<readonly ManifestEntry[]>
  #batch: readonly ManifestEntry[] = []
  #at = 0
  isEnded = false

  constructor(batches: EntryBatches) {
    this.#batches = batches[Symbol.asyncIterator]()
  }

  /** Null at the end. */
  get entry(): ManifestEntry | null {
    return this.#batch[this.#at] ?? null
  }

  get isInReach(): boolean {
    return this.isEnded || this.#at < this.#batch.length
  }

  goOn(): void {
    this.#at += 1
  }

  async readOn(): Promise<void> {
    while (!this.isInReach) {
      const { done, value } = await this.#batches.next()
      this.isEnded = done === true
      this.#batch = done === true ? [] : value
      this.#at = 0
    }
  }
}

/** What is different; null for what is the same. */
export function differenceOf({ from, to }: Pair): DifferenceView | null {
  const path = (to ?? from)?.path ?? ''
  const views = { from: viewOf(from), to: viewOf(to) }
  if (from === null) return { path, change: 'added', what: [], ...views }
  if (to === null) return { path, change: 'removed', what: [], ...views }
  const what = changesOf(from, to)
  return what.length === 0 ? null : { path, change: 'changed', what, ...views }
}

/** Negative when only the first has the path, positive when only the second has it. */
function orderOf(from: ManifestEntry | null, to: ManifestEntry | null): number {
  if (from === null) return 1
  return to === null ? -1 : comparePaths(from.path, to.path)
}

function changesOf(from: ManifestEntry, to: ManifestEntry): DifferenceView['what'] {
  if (from.type === 'link' || to.type === 'link') {
    if (from.type !== to.type) return ['type']
    return from.type === 'link' && to.type === 'link' && from.target !== to.target ? ['target'] : []
  }
  const what: DifferenceView['what'] = []
  if (from.type !== to.type) what.push('type')
  else if (from.type === 'file' && to.type === 'file' && from.sha256 !== to.sha256) {
    what.push('content')
  }
  if (from.mode !== to.mode) what.push('mode')
  return what
}

function viewOf(entry: ManifestEntry | null): DifferenceView['from'] {
  if (entry === null) return null
  return {
    type: entry.type,
    mode: entry.type === 'link' ? null : entry.mode,
    sizeBytes: entry.type === 'file' ? entry.sizeBytes : null,
    sha256: entry.type === 'file' ? entry.sha256 : null,
    target: entry.type === 'link' ? entry.target : null,
  }
}
