// The health gate: one probe after another, until what they add up to is a verdict. Owns the pace and
// the end; what a probe does is probe.ts, what they add up to is probe-window.ts.

import type { StepOutcome } from '#shared/activation/events.ts'
import type { Clock } from '#shared/clock.ts'
import { durationText } from '../config-durations.ts'
import { gateMsOf, type HealthConfig } from '../config-health.ts'
import type { ProbeMode } from '../runtime/ports.ts'
import { newWindow, type ProbeResult, verdictOf, windowAfter } from './probe-window.ts'

/** Never rejects; resolves soon after its signal is aborted, whatever answers. */
export type Probe = (signal: AbortSignal) => Promise<ProbeResult>

export interface GateRequest {
  readonly health: HealthConfig
  readonly mode: ProbeMode
  readonly probe: Probe
  readonly clock: Clock
  readonly signal: AbortSignal
}

const hint = 'See what the application logs on the host; [apps.NAME.health] says what is probed.'

/** Never takes longer than `gateMsOf` says, and never rejects. */
export async function passGate(request: GateRequest): Promise<StepOutcome> {
  const { clock, health, signal } = request
  const over = new AbortController()
  const startedAt = clock.now()
  const cancel = clock.timer(startedAt + gateMsOf(health), () => over.abort())
  try {
    const reason = await judge(request, startedAt, over.signal)
    if (reason === null) return { kind: 'done' }
    if (!signal.aborted) {
      return { kind: 'failed', failure: { code: 'unhealthy', message: reason, hint } }
    }
    const message = 'the health gate was given up: nobody waits for it any more'
    return { kind: 'failed', failure: { code: 'hook-failed', message } }
  } finally {
    cancel()
  }
}

/** Why the release is not healthy; null when it is. */
async function judge(
  { health, mode, probe, clock, signal }: GateRequest,
  startedAt: number,
  over: AbortSignal,
): Promise<string | null> {
  const ended = AbortSignal.any([signal, over])
  let window = newWindow
  let last = 'no probe has ended'
  for (;;) {
    const probedAt = clock.now()
    const result = await timedProbe(probe, health.timeoutMs, clock, ended)
    if (ended.aborted) break
    window = windowAfter(window, result)
    if (result.kind === 'failed') last = result.reason
    const verdict = verdictOf(window, health, { mode, sinceMs: clock.now() - startedAt })
    if (verdict === 'healthy') return null
    if (verdict === 'unhealthy') return `${last} (${inARow(window.failed)})`
    await waitUntil(clock, probedAt + health.intervalMs, ended)
    if (ended.aborted) break
  }
  const took = durationText(Math.round(clock.now() - startedAt))
  return `it did not become healthy within ${took}; ${last}`
}

/** A probe that never answers has failed when its time is over. */
async function timedProbe(
  probe: Probe,
  timeoutMs: number,
  clock: Clock,
  ended: AbortSignal,
): Promise<ProbeResult> {
  const late = new AbortController()
  const cancel = clock.timer(clock.now() + timeoutMs, () => late.abort())
  try {
    const result = await probe(AbortSignal.any([late.signal, ended]))
    if (!late.signal.aborted) return result
    return { kind: 'failed', reason: `no answer within ${durationText(timeoutMs)}` }
  } finally {
    cancel()
  }
}

async function waitUntil(clock: Clock, at: number, ended: AbortSignal): Promise<void> {
  if (at <= clock.now()) return
  const { promise, resolve } = Promise.withResolvers<void>()
  const cancel = clock.timer(at, resolve)
  const stop = (): void => resolve()
  ended.addEventListener('abort', stop, { once: true })
  await promise
  ended.removeEventListener('abort', stop)
  cancel()
}

function inARow(count: number): string {
  return count === 1 ? 'one probe' : `${count} probes in a row`
}
