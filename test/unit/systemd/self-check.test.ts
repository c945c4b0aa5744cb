// The parts of a self-check, and which of several results is told.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { allOf, eventLoopCheck, type SelfHealth, writableCheck } from '#systemd/self-check.ts'

const ok: SelfHealth = { outcome: 'ok' }
const degraded: SelfHealth = { outcome: 'degraded', reason: 'the disk is full' }
const failing: SelfHealth = { outcome: 'failing', reason: 'the runner is dead' }

void t.test('all parts must be well, and the worst is told', async (t) => {
  const check = (...healths: SelfHealth[]) => allOf(healths.map((health) => async () => health))()
  t.same(await check(), ok)
  t.same(await check(ok, ok), ok)
  t.same(await check(ok, degraded, ok), degraded)
  t.same(await check(degraded, failing), failing)
})

void t.test('an event loop that stood still fails once, for each time it did', async (t) => {
  let max = 5_001e6
  const check = eventLoopCheck(5000, {
    get max() {
      return max
    },
    reset() {
      max = 0
    },
  })
  t.same(await check(), {
    outcome: 'failing',
    reason: 'the event loop stood still for 5001 ms, over 5000 ms',
  })
  t.same(await check(), ok)
})

void t.test('the real histogram sees a loop that is blocked', async (t) => {
  const check = eventLoopCheck(100)
  // A delay lies between two runs of the histogram's own timer; the first run has none before it.
  for (let round = 0; round < 5; round += 1) {
    const since = performance.now()
    while (performance.now() - since < 120);
    await nextTurn()
  }
  const health = await check()
  t.match(health, { outcome: 'failing', reason: /stood still for \d+ ms, over 100 ms/ })
})

void t.test(
  'a state directory that can be written is well, and nothing is left in it',
  async (t) => {
    const directory = t.testdir({})
    t.same(await writableCheck(directory)(), ok)
    t.notOk(existsSync(join(directory, '.self-check')))
  },
)

void t.test('a state directory that is gone fails by its name and code', async (t) => {
  const directory = join(t.testdir({}), 'gone')
  t.same(await writableCheck(directory)(), {
    outcome: 'failing',
    reason: `${directory} cannot be written (ENOENT)`,
  })
})
