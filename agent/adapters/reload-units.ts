// The reload steps after a swap: systemd units of the host's own configuration, in their order. Reload
// keeps a unit's processes, restart replaces them (systemctl(1)).

import type { StepOutcome } from '#shared/activation/events.ts'
import { limits } from '#shared/limits.ts'
import type { Systemctl } from './systemctl.ts'

const timeouts = { reload: limits.reloadTimeoutMs, restart: limits.restartTimeoutMs }

/** One after the other; the first that fails is the outcome. */
export async function changeUnits(
  verb: 'reload' | 'restart',
  units: readonly string[],
  systemctl: Systemctl,
  signal?: AbortSignal,
): Promise<StepOutcome> {
  for (const unit of units) {
    if (signal?.aborted === true) return failed(`the ${verb} of ${unit} was given up`, verb)
    const options = { timeoutMs: timeouts[verb], ...(signal === undefined ? {} : { signal }) }
    const { exitCode, said } = await systemctl([verb, '--', unit], options)
    if (exitCode !== 0) return failed(`systemctl ${verb} ${unit} failed: ${said}`, verb)
  }
  return { kind: 'done' }
}

function failed(message: string, verb: string): StepOutcome {
  const hint = `See \`journalctl -u\` of the unit; the agent needs the right to ${verb} it.`
  return { kind: 'failed', failure: { code: 'reload-failed', message, hint } }
}
