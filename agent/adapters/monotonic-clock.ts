// This process's monotonic clock, in milliseconds. What it shows means nothing to anybody else.

import type { Clock } from '#shared/clock.ts'

/** A timer of the event loop may fire up to a millisecond early: the rest is waited out. */
export const monotonicClock: Clock = {
  now: () => performance.now(),
  timer(at, callback) {
    let timer: NodeJS.Timeout
    const wait = () => {
      timer = setTimeout(() => (performance.now() < at ? wait() : callback()), remainingMs(at))
    }
    wait()
    return () => clearTimeout(timer)
  },
}

function remainingMs(at: number): number {
  return Math.max(0, at - performance.now())
}
