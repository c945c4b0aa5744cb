// The reload steps after a swap: systemd units of the host's own configuration, in their order.
// Names only; never a command from anywhere else (systemctl(1)).

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { StepOutcome } from '#shared/activation/events.ts'
import { limits } from '#shared/limits.ts'

/** Reloads one after the other; the first that fails is the outcome. */
export async function reloadUnits(units: readonly string[]): Promise<StepOutcome> {
  for (const unit of units) {
    try {
      await promisify(execFile)('systemctl', ['reload', '--', unit], {
        timeout: limits.reloadTimeoutMs,
        killSignal: 'SIGKILL',
      })
    } catch (error) {
      return {
        kind: 'failed',
        failure: {
          code: 'reload-failed',
          message: `systemctl reload ${unit} failed: ${wordsOf(error)}`,
          hint: 'See `journalctl -u` of the unit; the agent needs the right to reload it.',
        },
      }
    }
  }
  return { kind: 'done' }
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const stderr = 'stderr' in error && typeof error.stderr === 'string' ? error.stderr.trim() : ''
  const words = stderr === '' ? error.message : stderr
  return words.slice(0, 500)
}
