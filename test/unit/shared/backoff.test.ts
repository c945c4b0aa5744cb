// Waiting between tries: exponential, capped, and jittered over the whole of it.

import fc from 'fast-check'
import t from 'tap'
import { backoffDelayMs } from '#shared/backoff.ts'
import { limits } from '#shared/limits.ts'

const bounds = { minMs: limits.reconnectMinMs, maxMs: limits.reconnectMaxMs }
const nearlyOne = 1 - Number.EPSILON

void t.test('the ceiling doubles from the minimum up to the maximum', (t) => {
  const ceilings = [0, 1, 2, 3, 4, 5, 6, 7, 100, 1e9].map(
    (attempt) => backoffDelayMs(attempt, nearlyOne, bounds) + 1,
  )
  t.same(ceilings, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000, 30_000])
  t.end()
})

void t.test('the jitter is full: the wait may be nothing, and never reaches the ceiling', (t) => {
  fc.assert(
    fc.property(
      fc.nat(2000),
      fc.double({ min: 0, max: nearlyOne, noNaN: true }),
      (attempt, random) => {
        const delayMs = backoffDelayMs(attempt, random, bounds)
        return Number.isInteger(delayMs) && delayMs >= 0 && delayMs < bounds.maxMs
      },
    ),
    { seed: 1, numRuns: 1000 },
  )
  t.equal(backoffDelayMs(9, 0, bounds), 0)
  t.equal(backoffDelayMs(9, 0.5, bounds), 15_000)
  t.end()
})
