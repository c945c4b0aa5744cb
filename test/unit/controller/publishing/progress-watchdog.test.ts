// The watchdog of publishing, on timers that the test fires.

import t from 'tap'
import { ProgressWatchdog } from '#controller/publishing/progress-watchdog.ts'
import { limits } from '#shared/limits.ts'

interface Timer {
  delayMs: number
  fire: () => void
  isStopped: boolean
}

function buildWatchdog(): { watchdog: ProgressWatchdog; timers: Timer[] } {
  const timers: Timer[] = []
  const watchdog = new ProgressWatchdog((delayMs, fire) => {
    const timer = { delayMs, fire, isStopped: false }
    timers.push(timer)
    return () => {
      timer.isStopped = true
    }
  })
  return { watchdog, timers }
}

void t.test('a period with progress begins another', async (t) => {
  const { watchdog, timers } = buildWatchdog()
  t.equal(timers[0]?.delayMs, limits.publishStallMs)
  watchdog.progress()
  timers[0]?.fire()
  t.equal(timers.length, 2)
  t.notOk(watchdog.signal.aborted)
})

void t.test('a period without progress is a stall', async (t) => {
  const { watchdog, timers } = buildWatchdog()
  watchdog.progress()
  timers[0]?.fire()
  timers[1]?.fire()
  t.match(watchdog.signal.reason, { code: 'stalled' })
  t.equal(timers.length, 2, 'and the last')
})

void t.test('a stopped watchdog leaves no timer', async (t) => {
  const { watchdog, timers } = buildWatchdog()
  watchdog.stop()
  t.ok(timers[0]?.isStopped)
})
