// Ready-made parts of a daemon's self-check, and how they are put together. What must be well for a
// ping of the watchdog is the daemon's own choice, made in its composition root.

import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { systemCodeOf } from '#shared/errors.ts'

/**
 * `degraded` is wrong but nothing that a restart would mend, so the watchdog is fed and the reason
 * shown; `failing` starves the watchdog until systemd restarts the daemon.
 */
export type SelfHealth =
  | { readonly outcome: 'ok' }
  | { readonly outcome: 'degraded' | 'failing'; readonly reason: string }

/** Never rejects for anything the world does; one that never resolves starves the watchdog. */
export type SelfCheck = () => Promise<SelfHealth>

/** What is used of the histogram that `monitorEventLoopDelay` gives. */
export interface DelayHistogram {
  /** Nanoseconds. */
  readonly max: number
  reset(): void
}

const ok: SelfHealth = { outcome: 'ok' }

/** All must be well; the first failing part is told, else the first degraded one. */
export function allOf(checks: readonly SelfCheck[]): SelfCheck {
  return async () => {
    const healths = await Promise.all(checks.map((check) => check()))
    return (
      healths.find(({ outcome }) => outcome === 'failing') ??
      healths.find(({ outcome }) => outcome === 'degraded') ??
      ok
    )
  }
}

/**
 * Fails when the event loop stood still for longer than `lagMaxMs` since the last check.
 * @param histogram of event loop delays in nanoseconds, enabled; one of its own where absent.
 */
export function eventLoopCheck(
  lagMaxMs: number,
  histogram: DelayHistogram = enabledHistogram(),
): SelfCheck {
  return async () => {
    const lagMs = Math.round(histogram.max / 1e6)
    histogram.reset()
    if (lagMs <= lagMaxMs) return ok
    return {
      outcome: 'failing',
      reason: `the event loop stood still for ${lagMs} ms, over ${lagMaxMs} ms`,
    }
  }
}

/** Writes, syncs and removes a file of a few bytes in a directory of the daemon's own. */
export function writableCheck(directory: string): SelfCheck {
  const path = join(directory, '.self-check')
  return async () => {
    try {
      const file = await open(path, 'w', 0o600)
      try {
        await file.writeFile('ok\n')
        await file.datasync()
      } finally {
        await file.close()
      }
      await rm(path, { force: true })
      return ok
    } catch (error) {
      const code = systemCodeOf(error)
      if (code === undefined) throw error
      const isFull = code === 'ENOSPC' || code === 'EDQUOT'
      return {
        outcome: isFull ? 'degraded' : 'failing',
        reason: `${directory} cannot be written (${code})`,
      }
    }
  }
}

function enabledHistogram(): DelayHistogram {
  const histogram = monitorEventLoopDelay({ resolution: 20 })
  histogram.enable()
  return histogram
}
