// Which releases an environment may still have to bring to a host: none of them may be removed from
// the controller. Pure; the way back, which lies in the history, is for who has that.

import type { Release } from '../release.ts'
import type { Decision } from './decision.ts'
import { isOpen, type Rollout } from './rollout.ts'

export type Need =
  | 'committed'
  | 'desired'
  /** Of the open rollout. */
  | 'target'
  | 'fallback'
  /** In the newest decision: hosts that were away act on it yet. */
  | 'told'
  /** What `lockstep rollback` goes to. */
  | 'way-back'

export interface NeededRelease {
  readonly release: Release
  readonly need: Need
}

/** What of an environment's record says which releases it needs. */
export interface NeedingRecord {
  readonly committed: Release | null
  readonly desired: Release | null
  readonly decision: Pick<Decision, 'run' | 'fallback' | 'stage'> | null
  readonly rollout: Pick<Rollout, 'phase' | 'target' | 'fallback'> | null
}

/** One for each reason: a release may be there several times. */
export function neededReleasesOf(record: NeedingRecord): readonly NeededRelease[] {
  const { committed, desired, decision, rollout } = record
  const open = rollout !== null && isOpen(rollout.phase) ? rollout : null
  const needs: readonly (readonly [Need, Release | null | undefined])[] = [
    ['committed', committed],
    ['desired', desired],
    ['target', open?.target],
    ['fallback', open?.fallback],
    ['told', decision?.run],
    ['told', decision?.fallback],
    ['told', decision?.stage],
  ]
  return needs.flatMap(([need, release]) => (release ? [{ release, need }] : []))
}
