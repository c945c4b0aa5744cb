// The machine's clock: wall time as it was at the start, carried on by the monotonic clock, so that
// a step of the wall clock moves no lease and no deadline of a running controller.

import type { Clock } from '#shared/clock.ts'

export const systemClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  timer(at, callback) {
    const timer = setTimeout(callback, Math.max(0, at - systemClock.now()))
    return () => clearTimeout(timer)
  },
}
