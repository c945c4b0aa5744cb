// The fence of every decision for one app and environment: a term and an epoch that only grow, and
// the hash of what was decided under them.

export interface Fence {
  /** Grows when a controller is recovered after a restore; from 1. */
  readonly term: number
  /** Grows with every decision of a term; from 1. */
  readonly epoch: number
  /** SHA-256 of the recorded decision, without anything that is measured again (`activateAt`). */
  readonly hash: string
}

export type FenceOrder = 'lower' | 'equal' | 'higher' | 'conflict'

/**
 * Where `heard` stands against the highest fence held; null is below everything.
 * `conflict`: the same term and epoch with another hash, which two honest decisions never have.
 */
export function compareFence(heard: Fence | null, held: Fence | null): FenceOrder {
  if (heard === null) return held === null ? 'equal' : 'lower'
  if (held === null) return 'higher'
  if (heard.term !== held.term) return heard.term < held.term ? 'lower' : 'higher'
  if (heard.epoch !== held.epoch) return heard.epoch < held.epoch ? 'lower' : 'higher'
  return heard.hash === held.hash ? 'equal' : 'conflict'
}

export function sameFence(a: Fence | null, b: Fence | null): boolean {
  return compareFence(a, b) === 'equal'
}
