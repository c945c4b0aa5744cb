// When a release counts as healthy: what a row of probes adds up to. Pure; knows no clock.
// docs/configuration.md, "Health".

import type { HealthConfig } from '../config-health.ts'
import type { ProbeMode } from '../runtime/ports.ts'

export type ProbeResult =
  | { readonly kind: 'passed' }
  | { readonly kind: 'failed'; readonly reason: string }

export interface ProbeWindow {
  /** In a row, up to the last probe. */
  readonly passed: number
  readonly failed: number
}

export type Verdict = 'open' | 'healthy' | 'unhealthy'

export const newWindow: ProbeWindow = { passed: 0, failed: 0 }

export function windowAfter({ passed, failed }: ProbeWindow, result: ProbeResult): ProbeWindow {
  return result.kind === 'passed'
    ? { passed: passed + 1, failed: 0 }
    : { passed: 0, failed: failed + 1 }
}

/**
 * `whole`: enough failures in a row end it at once; enough successes in a row end it when the window
 * is over. `confirm`: one success is enough, for a release that was found healthy before.
 * @param sinceMs from the start of the first probe to the end of the last one
 */
export function verdictOf(
  { passed, failed }: ProbeWindow,
  health: Pick<HealthConfig, 'forMs' | 'healthy' | 'unhealthy'>,
  { mode, sinceMs }: { mode: ProbeMode; sinceMs: number },
): Verdict {
  if (failed >= health.unhealthy) return 'unhealthy'
  if (mode === 'confirm') return passed > 0 ? 'healthy' : 'open'
  return passed >= health.healthy && sinceMs >= health.forMs ? 'healthy' : 'open'
}
