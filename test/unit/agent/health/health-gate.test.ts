// The health gate in made-up time: when it passes, when it fails, and that it always ends.

import t from 'tap'
import { gateMsOf, type HealthConfig } from '#agent/config-health.ts'
import { passGate, type Probe } from '#agent/health/health-gate.ts'
import { newWindow, type ProbeResult, verdictOf, windowAfter } from '#agent/health/probe-window.ts'
import type { ProbeMode } from '#agent/runtime/ports.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

const health: HealthConfig = {
  target: { kind: 'tcp', address: '127.0.0.1', port: 1 },
  forMs: 10_000,
  intervalMs: 1000,
  timeoutMs: 2000,
  healthy: 2,
  unhealthy: 3,
}
const passed: ProbeResult = { kind: 'passed' }
const failed: ProbeResult = { kind: 'failed', reason: 'it answered 500' }

/** The window after each of the results, `+` and `-`, one second apart. */
function verdictsOf(results: string, mode: ProbeMode): string[] {
  let window = newWindow
  return results.split('').map((result, at) => {
    window = windowAfter(window, result === '+' ? passed : failed)
    return verdictOf(
      window,
      { forMs: 3000, healthy: 2, unhealthy: 2 },
      { mode, sinceMs: at * 1000 },
    )
  })
}

void t.test('what a row of probes adds up to', async (t) => {
  const [o, h, u] = ['open', 'healthy', 'unhealthy']
  t.same(verdictsOf('++++', 'whole'), [o, o, o, h], 'not before the window is over')
  t.same(verdictsOf('-++++', 'whole'), [o, o, o, h, h], 'a first failure is forgiven')
  t.same(verdictsOf('+--', 'whole'), [o, o, u], 'enough of them in a row are not')
  t.same(verdictsOf('++-+', 'whole'), [o, o, o, o], 'one success after a failure is not enough')
  t.same(verdictsOf('++-++', 'whole'), [o, o, o, o, h])
  t.same(verdictsOf('+-+-+-', 'whole'), [o, o, o, o, o, o], 'to and fro is neither')
  t.same(verdictsOf('+', 'confirm'), [h])
  t.same(verdictsOf('-+', 'confirm'), [o, h])
  t.same(verdictsOf('--', 'confirm'), [o, u])
})

/** Lets everything run that waits for nothing but its turn. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

interface Watched {
  readonly end: () => Promise<unknown>
  readonly probedAt: readonly number[]
  readonly abort: AbortController
  readonly clock: FakeClock
}

function gate(
  probe: Probe,
  wishes: Partial<HealthConfig> = {},
  mode: ProbeMode = 'whole',
): Watched {
  const clock = new FakeClock(0)
  const probedAt: number[] = []
  const abort = new AbortController()
  const outcome = passGate({
    health: { ...health, ...wishes },
    mode,
    probe: (signal) => {
      probedAt.push(clock.now())
      return probe(signal)
    },
    clock,
    signal: abort.signal,
  })
  const end = async () => {
    let isOver = false
    void outcome.then(() => {
      isOver = true
    })
    for (let step = 0; step < 2000; step += 1) {
      await settle()
      if (isOver) return outcome
      clock.advance(100)
    }
    return 'it does not end'
  }
  return { end, probedAt, abort, clock }
}

const never: Probe = (signal) => {
  const { promise, resolve } = Promise.withResolvers<ProbeResult>()
  signal.addEventListener('abort', () => resolve(failed), { once: true })
  return promise
}

void t.test('a release that stays well passes when its window is over', async (t) => {
  const { end, probedAt, clock } = gate(async () => passed)
  t.same(await end(), { kind: 'done' })
  t.same(probedAt, [0, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10_000])
  t.same(clock.pending, [], 'no timer is left')
})

void t.test('one that is ill is found out at once', async (t) => {
  const { end, probedAt, clock } = gate(async () => failed)
  t.match(await end(), {
    kind: 'failed',
    failure: { code: 'unhealthy', message: 'it answered 500 (3 probes in a row)', hint: /logs/ },
  })
  t.equal(probedAt.length, 3)
  t.same(clock.pending, [])
})

void t.test('a probe that never answers fails when its time is over', async (t) => {
  const { end, probedAt } = gate(never)
  t.match(await end(), { failure: { code: 'unhealthy', message: /no answer within 2s/ } })
  t.same(probedAt, [0, 2000, 4000], 'the next one begins when it is over')
})

void t.test('one that never comes to rest ends with its gate', async (t) => {
  let at = 0
  const { end, clock } = gate(async () => ((at += 1) % 2 === 0 ? passed : failed))
  t.match(await end(), {
    failure: { code: 'unhealthy', message: /did not become healthy within .*; it answered 500/ },
  })
  t.ok(clock.now() <= gateMsOf(health) + 100)
  t.same(clock.pending, [])
})

void t.test('a confirmation takes one success', async (t) => {
  const { end, probedAt } = gate(async () => passed, {}, 'confirm')
  t.same(await end(), { kind: 'done' })
  t.equal(probedAt.length, 1)
})

void t.test('an abort ends it at once, in a probe and between two', async (t) => {
  const during = gate(never)
  await settle()
  during.abort.abort()
  const given = { kind: 'failed', failure: { code: 'hook-failed', message: /given up/ } }
  t.match(await during.end(), given)
  t.equal(during.clock.now(), 0)
  const between = gate(async () => passed)
  await settle()
  between.abort.abort()
  t.match(await between.end(), given)
  t.equal(between.clock.now(), 0)
  t.same(between.clock.pending, [])
})
