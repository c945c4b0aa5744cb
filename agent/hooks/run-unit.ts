// Runs one unit of systemd's to its end: a hook that is another user's, or needs more than the agent
// has. The unit is root's and says what runs; only its name comes from here, and it is built of the
// host's own configuration, an app and a version. systemctl(1), systemd.service(5).

import type { Systemctl } from '../adapters/systemctl.ts'
import type { Clock } from '#shared/clock.ts'
import { limits } from '#shared/limits.ts'

export interface UnitRequest {
  readonly unit: string
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
  /** Lets it go on when this process ends: it is neither ended nor waited for any more. */
  readonly leaveTo?: AbortSignal | undefined
  readonly clock: Clock
  readonly systemctl: Systemctl
}

export type UnitEnd =
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'timed-out' }
  | { readonly kind: 'aborted' }

const question = { timeoutMs: limits.systemctlTimeoutMs }

/** Never rejects for what the unit does. Resolves when it has ended. */
export async function runUnit(request: UnitRequest): Promise<UnitEnd> {
  const { unit, timeoutMs, systemctl, signal, leaveTo } = request
  if (signal?.aborted === true) return { kind: 'aborted' }
  const unsuitable = await unsuitability(unit, systemctl)
  if (unsuitable !== null) return { kind: 'failed', reason: unsuitable }
  const patienceMs = timeoutMs + 2 * limits.systemctlTimeoutMs
  const waiting = { timeoutMs: patienceMs, ...(leaveTo === undefined ? {} : { signal: leaveTo }) }
  const starting = systemctl(['start', '--', unit], waiting)
  const stop = stopOf(request)
  const first = await Promise.race([starting, stop.promise])
  stop.cancel()
  if (leaveTo?.aborted === true) return { kind: 'aborted' }
  if (typeof first !== 'string') {
    return first.exitCode === 0 ? { kind: 'done' } : failed(unit, first.said, systemctl)
  }
  await endUnit(unit, systemctl)
  await starting
  return { kind: first }
}

/** The units with such a name that run; null when systemd does not say. */
export async function runningUnits(
  beginning: string,
  systemctl: Systemctl,
): Promise<readonly string[] | null> {
  const states = '--state=active,activating,deactivating,reloading'
  const list = ['list-units', '--plain', '--no-legend', '--full', '--type=service', states]
  const { exitCode, stdout } = await systemctl(list, question)
  if (exitCode !== 0) return null
  const units = stdout.split('\n').map((line) => line.trim().split(/\s+/)[0] ?? '')
  return units.filter((unit) => unit.startsWith(beginning))
}

/** Killed first: stopping alone waits for a program that does not want to end. */
export async function endUnit(unit: string, systemctl: Systemctl): Promise<void> {
  await systemctl(['kill', '--signal=SIGKILL', '--', unit], question)
  await systemctl(['stop', '--', unit], question)
}

/** A unit that starting does not run, or not to its end, would be taken for a hook that passed. */
async function unsuitability(unit: string, systemctl: Systemctl): Promise<string | null> {
  const properties = await propertiesOf(unit, ['LoadState', 'Type', 'RemainAfterExit'], systemctl)
  if (typeof properties === 'string') return properties
  const { LoadState: state, Type: type, RemainAfterExit: remains } = properties
  if (state !== 'loaded') return `systemd has no ${unit} (${state ?? 'unknown'})`
  if (type !== 'oneshot') return `${unit} is Type=${type ?? '?'}, and has to be Type=oneshot`
  return remains === 'yes' ? `${unit} has RemainAfterExit=yes, and would run only once` : null
}

async function failed(unit: string, said: string, systemctl: Systemctl): Promise<UnitEnd> {
  const names = ['Result', 'ExecMainStatus', 'ActiveState']
  const properties = await propertiesOf(unit, names, systemctl)
  if (typeof properties === 'string') return { kind: 'failed', reason: said }
  // What was to wait for it ended first: nothing that is called failed may still be running.
  if (!['inactive', 'failed', undefined].includes(properties['ActiveState'])) {
    await endUnit(unit, systemctl)
    return { kind: 'failed', reason: `it was ended, since nobody could wait for it: ${said}` }
  }
  const { Result: result = 'unknown', ExecMainStatus: status = '?' } = properties
  const what = result === 'exit-code' ? `exited with ${status}` : `ended with ${result}`
  // What systemd refuses never ran: its result is that of an earlier run, or none.
  return { kind: 'failed', reason: result === 'success' ? said : `it ${what}` }
}

async function propertiesOf(
  unit: string,
  names: readonly string[],
  systemctl: Systemctl,
): Promise<Record<string, string | undefined> | string> {
  const args = ['show', ...names.map((name) => `--property=${name}`), '--', unit]
  const { exitCode, stdout, said } = await systemctl(args, question)
  if (exitCode !== 0) return said
  const pairs = stdout.split('\n').flatMap((line) => {
    const at = line.indexOf('=')
    return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1)]]
  })
  return Object.fromEntries(pairs)
}

function stopOf({ clock, timeoutMs, signal }: UnitRequest) {
  const { promise, resolve } = Promise.withResolvers<'timed-out' | 'aborted'>()
  const cancelTimer = clock.timer(clock.now() + timeoutMs, () => resolve('timed-out'))
  const abort = (): void => resolve('aborted')
  signal?.addEventListener('abort', abort, { once: true })
  // It may have been aborted while the start was awaited.
  if (signal?.aborted === true) abort()
  const cancel = (): void => {
    cancelTimer()
    signal?.removeEventListener('abort', abort)
  }
  return { promise, cancel }
}
