// The words for how far apart the hosts swapped. Pure.

import type { RolloutView } from '#shared/api/schemas.ts'
import { durationText } from '../output/quantities.ts'

/** `, first to last 3.2 ms (± 0.4 ms)`; empty where one host is no fleet. */
export function skewText({ skewMs, skewErrorMs }: RolloutView): string {
  if (skewMs === null) return ''
  const error = skewErrorMs === null ? '' : ` (± ${durationText(skewErrorMs)})`
  return `, first to last ${durationText(skewMs)}${error}`
}
