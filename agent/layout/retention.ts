// Which releases clean-up may remove. Pure: ordered by the controller's activation history, never
// by times on the host's disk or by version labels. ARCHITECTURE.md, guarantee 5.

import { type Release, sameRelease } from '#shared/release.ts'

export interface RetentionFacts {
  /** The releases on the disk. */
  readonly held: readonly Release[]
  /** How many activated releases stay, the newest first. */
  readonly keep: number
  /** The environment's activations, newest first. */
  readonly history: readonly Release[]
  /** Trees of current, run, fallback, staged, *before*: never removed, whatever their label. */
  readonly pinned: readonly string[]
  /** Versions that a live process uses, or may use. */
  readonly inUse: ReadonlySet<string>
  /** Versions that `current` left too short a time ago. */
  readonly draining?: ReadonlySet<string>
}

export type KeepReason = 'pinned' | 'recent' | 'no-history' | 'draining' | 'in-use'

export interface RetentionPlan {
  readonly kept: readonly { readonly release: Release; readonly reason: KeepReason }[]
  /** Oldest activation first, after those that never were activated. */
  readonly removed: readonly Release[]
}

/**
 * A release that was never activated does not count towards `keep`, so that failed rollouts push
 * no good release out. Without any history nothing is removed: then the order is not known.
 */
export function planRetention(facts: RetentionFacts): RetentionPlan {
  const rankOf = (release: Release): number => {
    const rank = facts.history.findIndex((activated) => sameRelease(activated, release))
    return rank === -1 ? Number.POSITIVE_INFINITY : rank
  }
  const ranked = facts.held
    .map((release) => ({ release, rank: rankOf(release) }))
    .toSorted((a, b) => (a.rank === b.rank ? 0 : a.rank - b.rank))
  const kept: { release: Release; reason: KeepReason }[] = []
  const removed: Release[] = []
  for (const [index, { release, rank }] of ranked.entries()) {
    const isRecent = Number.isFinite(rank) && index < facts.keep
    const reason = reasonToKeep(facts, release, isRecent)
    if (reason === null) removed.unshift(release)
    else kept.push({ release, reason })
  }
  return { kept, removed }
}

/** Who uses what comes last: it is asked of those alone that nothing else keeps. */
function reasonToKeep(
  facts: RetentionFacts,
  release: Release,
  isRecent: boolean,
): KeepReason | null {
  if (facts.pinned.includes(release.tree)) return 'pinned'
  if (isRecent) return 'recent'
  if (facts.history.length === 0) return 'no-history'
  if (facts.draining?.has(release.version) === true) return 'draining'
  return facts.inUse.has(release.version) ? 'in-use' : null
}
