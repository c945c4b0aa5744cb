// The order in which an environment activated its releases: what clean-up on hosts goes by.

import { limits } from '../limits.ts'
import { type Release, sameRelease } from '../release.ts'

/** Newest first, each release once, bounded. */
export function activatedFirst(release: Release, history: readonly Release[]): readonly Release[] {
  const others = history.filter((known) => !sameRelease(known, release))
  return [release, ...others].slice(0, limits.historyItemsMax)
}
