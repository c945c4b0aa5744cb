// A decision: one durable change of what an environment's agents are told, under its own epoch.

import { canonicalJson } from '../canonical-json.ts'
import type { Fence } from '../fence.ts'
import { sha256Hex } from '../ids.ts'
import type { Release } from '../release.ts'

/**
 * `stage` beside what runs; `prepare` the once hook runs on one host; `activate` the barrier opened;
 * `roll-back`; `settle` commit or abort.
 */
export type DecisionKind = 'stage' | 'prepare' | 'activate' | 'roll-back' | 'settle'

export interface DecisionContent {
  readonly kind: DecisionKind
  /** The rollout's id; null where none is open. */
  readonly rollout: string | null
  /** The wave that an `activate` opens, from 0; null for every other kind. */
  readonly wave: number | null
  /**
   * The hosts that the decision was taken for, sorted; of `prepare` the one that is elected; empty
   * for `stage` and `settle`.
   */
  readonly counted: readonly string[]
  /** What the counted hosts run (`activate`), or what all run (every other kind). */
  readonly run: Release | null
  readonly fallback: Release | null
  readonly stage: Release | null
}

export interface Decision extends DecisionContent {
  readonly fence: Fence
  /** Epoch milliseconds; for people, never compared. */
  readonly decidedAt: number
}

/** The hash covers the decision with its place, so that no two decisions share one. */
export function decide(
  content: DecisionContent,
  place: { app: string; environment: string; term: number; epoch: number },
  decidedAt: number,
): Decision {
  const hash = sha256Hex(canonicalJson({ ...place, ...hashed(content) }))
  return { ...content, fence: { term: place.term, epoch: place.epoch, hash }, decidedAt }
}

function hashed(content: DecisionContent) {
  const release = (r: Release | null) => (r === null ? null : { version: r.version, tree: r.tree })
  return {
    kind: content.kind,
    rollout: content.rollout,
    wave: content.wave,
    counted: content.counted,
    run: release(content.run),
    fallback: release(content.fallback),
    stage: release(content.stage),
  }
}
