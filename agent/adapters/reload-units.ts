// The reload steps after a swap: systemd units of the host's own configuration, in their order.

import type { StepOutcome } from '#shared/activation/events.ts'
import { limits } from '#shared/limits.ts'
import type { Systemctl } from './systemctl.ts'

/** Reloads one after the other; the first that fails is the outcome. */
export async function reloadUnits(
  units: readonly string[],
  systemctl: Systemctl,
  signal?: AbortSignal,
): Promise<StepOutcome> {
  for (const unit of units) {
    if (signal?.aborted === true) return failed(`reload of ${unit} was given up`)
    const timeoutMs = limits.reloadTimeoutMs
    const { exitCode, said } = await systemctl(['reload', '--', unit], { timeoutMs })
    if (exitCode !== 0) return failed(`systemctl reload ${unit} failed: ${said}`)
  }
  return { kind: 'done' }
}

function failed(message: string): StepOutcome {
  const hint = 'See `journalctl -u` of the unit; the agent needs the right to reload it.'
  return { kind: 'failed', failure: { code: 'reload-failed', message, hint } }
}
