// How long to wait before the next try: exponential with full jitter, the jitter after the cap, so
// that a thousand agents do not come back in step.

/**
 * @param attempt 0 for the first wait
 * @param random a number in [0, 1) drawn by the caller
 * @returns milliseconds in [0, min(maxMs, minMs * 2^attempt))
 */
export function backoffDelayMs(
  attempt: number,
  random: number,
  bounds: { minMs: number; maxMs: number },
): number {
  const ceilingMs = Math.min(bounds.maxMs, bounds.minMs * 2 ** Math.min(attempt, 30))
  return Math.floor(random * ceilingMs)
}
