// The controller's clock as the agent reckons it: the shortest round trip says the most.

import fc from 'fast-check'
import t from 'tap'
import { clockOffset, clockSamplesKept, withSample } from '#agent/link/clock-offset.ts'

/** An answer that was on its way for `thereMs` and `backMs`; the clocks differ by 1000 ms. */
function sampleOf(sentAt: number, thereMs: number, backMs: number) {
  return {
    sentAt,
    receivedAt: sentAt + thereMs + backMs,
    controllerAt: sentAt + thereMs + 1000,
  }
}

void t.test('without an answer nothing is known', (t) => {
  t.equal(clockOffset([]), null)
  t.end()
})

void t.test('one answer says what its round trip lets it say', (t) => {
  t.same(clockOffset([sampleOf(50, 4, 4)]), { offsetMs: 1000, errorMs: 4, roundTripMs: 8 })
  t.same(clockOffset([sampleOf(50, 8, 0)]), { offsetMs: 1004, errorMs: 4, roundTripMs: 8 })
  t.same(clockOffset([sampleOf(50, 0, 0)]), { offsetMs: 1000, errorMs: 0, roundTripMs: 0 })
  t.end()
})

void t.test('the best of all answers gives the offset, whenever it came', (t) => {
  const samples = [sampleOf(0, 20, 1), sampleOf(5000, 1, 1), sampleOf(10_000, 3, 40)]
  t.match(clockOffset(samples), { offsetMs: 1000, errorMs: 1, roundTripMs: 43 })
  t.end()
})

void t.test('the true offset is never further away than the error says', (t) => {
  const ms = fc.double({ min: 0, max: 500, noNaN: true })
  fc.assert(
    fc.property(fc.array(fc.tuple(ms, ms), { minLength: 1, maxLength: 50 }), (trips) => {
      const samples = trips.map(([there, back], at) => sampleOf(at * 5000, there, back))
      const found = clockOffset(samples)
      return found !== null && Math.abs(found.offsetMs - 1000) <= found.errorMs + 1e-6
    }),
    { seed: 1, numRuns: 500 },
  )
  t.end()
})

void t.test('the round trip is the 99th percentile of those that are kept', (t) => {
  const trips = Array.from({ length: 200 }, (_, at) => sampleOf(at, 0, at + 1))
  t.equal(clockOffset(trips)?.roundTripMs, 198)
  t.equal(clockOffset(trips.slice(0, 36))?.roundTripMs, 36, 'of few, the longest')
  t.end()
})

void t.test('old answers are forgotten: three minutes of them are kept', (t) => {
  const all = Array.from({ length: 100 }, (_, at) => sampleOf(at * 5000, 1, 1)).reduce(
    withSample,
    [] as ReturnType<typeof withSample>,
  )
  t.equal(all.length, clockSamplesKept)
  t.equal(all.at(-1)?.sentAt, 99 * 5000)
  t.equal(all[0]?.sentAt, (100 - clockSamplesKept) * 5000)
  t.end()
})
