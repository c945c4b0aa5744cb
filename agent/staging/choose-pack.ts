// Which stream brings what a release lacks for the fewest bytes: the full pack, or the delta
// against one of the held trees. Pure.

import type { ManifestEntry, ManifestFile } from '#shared/manifest.ts'

export interface PackChoice {
  /** The tree that the delta is against; null for the full pack. */
  readonly from: string | null
  /** What the pack holds, in manifest order. */
  readonly expected: readonly ManifestEntry[]
}

export interface HeldTree {
  readonly tree: string
  /** The SHA-256 of every file of it. */
  readonly contents: ReadonlySet<string>
}

/** A delta brings the files whose content the other tree lacks; one that misses a wanted is none. */
export function choosePack(
  entries: readonly ManifestEntry[],
  wanted: readonly ManifestFile[],
  held: readonly HeldTree[],
): PackChoice {
  const full: PackChoice = { from: null, expected: entries }
  let best = { choice: full, bytes: bytesOf(entries) }
  for (const { tree, contents } of held) {
    if (wanted.some(({ sha256 }) => contents.has(sha256))) continue
    const expected = entries.filter((entry) => entry.type === 'file' && !contents.has(entry.sha256))
    const bytes = bytesOf(expected)
    if (bytes < best.bytes) best = { choice: { from: tree, expected }, bytes }
  }
  return best.choice
}

function bytesOf(entries: readonly ManifestEntry[]): number {
  return entries.reduce((sum, entry) => sum + (entry.type === 'file' ? entry.sizeBytes : 0), 0)
}
