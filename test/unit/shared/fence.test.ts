// Fences: only term, then epoch order them; one place with two hashes is a conflict.

import fc from 'fast-check'
import t from 'tap'
import { compareFence, type Fence, sameFence } from '#shared/fence.ts'

const hashes = ['a', 'b'].map((digit) => digit.repeat(64))
const fence = (term: number, epoch: number, hash = hashes[0] ?? ''): Fence => ({
  term,
  epoch,
  hash,
})

void t.test('a fence stands by its term first, then by its epoch', (t) => {
  const table: readonly [Fence | null, Fence | null, string][] = [
    [null, null, 'equal'],
    [null, fence(1, 1), 'lower'],
    [fence(1, 1), null, 'higher'],
    [fence(1, 9), fence(2, 1), 'lower'],
    [fence(2, 1), fence(1, 9), 'higher'],
    [fence(1, 1), fence(1, 2), 'lower'],
    [fence(1, 3), fence(1, 2), 'higher'],
    [fence(1, 2), fence(1, 2), 'equal'],
    [fence(1, 2), fence(1, 2, hashes[1]), 'conflict'],
  ]
  for (const [heard, held, order] of table) {
    t.equal(compareFence(heard, held), order, JSON.stringify([heard, held]))
  }
  t.end()
})

void t.test('the order is total: two fences are never both higher', (t) => {
  const any = fc.option(
    fc.record({
      term: fc.integer({ min: 1, max: 3 }),
      epoch: fc.integer({ min: 1, max: 3 }),
      hash: fc.constantFrom(...hashes),
    }),
  )
  const mirrored = { lower: 'higher', higher: 'lower', equal: 'equal', conflict: 'conflict' }
  fc.assert(
    fc.property(any, any, (a, b) => compareFence(a, b) === mirrored[compareFence(b, a)]),
    { seed: 1, numRuns: 500 },
  )
  fc.assert(
    fc.property(any, any, (a, b) => sameFence(a, b) === (compareFence(a, b) === 'equal')),
    { seed: 1, numRuns: 500 },
  )
  t.end()
})
