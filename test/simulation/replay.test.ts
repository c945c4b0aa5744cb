// A schedule is its seed: run twice, everything in it happens the same.

import t from 'tap'
import { runInThread } from './run/task.ts'

const seeds = Array.from({ length: 40 }, (_, i) => 5000 + i)

void t.test('the same seed gives the same trace, another seed another', async (t) => {
  const forward = { kind: 'schedules', seeds, untilFailure: false } as const
  const backward = { ...forward, seeds: seeds.toReversed() }
  const [first, second] = await Promise.all([
    runInThread({ task: forward, mutant: null }),
    runInThread({ task: backward, mutant: null }),
  ])
  t.same(first.failures, [])
  t.same(second.hashes.toReversed(), first.hashes)
  t.equal(new Set(first.hashes).size, seeds.length)
})
