// Tells systemd how the daemon is (sd_notify(3)): ready, status, stopping, and a watchdog ping that is
// sent only after a self-check. Outside systemd every call does nothing. It decides nothing about health.

import { execFile } from 'node:child_process'
import { setTimeout as sleepFor } from 'node:timers/promises'
import { promisify } from 'node:util'
import { limits } from '#shared/limits.ts'
import type { SelfCheck } from './self-check.ts'

export interface Notifier {
  /** Whether systemd waits for notifications of this process. */
  readonly isManaged: boolean
  /** Ends the start: units that order themselves after this one may go on. */
  ready(status: string): Promise<void>
  /** One line that `systemctl status` shows. */
  status(text: string): Promise<void>
  /** Says that the daemon goes down on purpose, and ends the watchdog's pings. */
  stopping(text: string): Promise<void>
  /** Starts the pings, if the unit has a watchdog. Returns what ends them. */
  watch(check: SelfCheck): () => void
}

export interface NotifierPorts {
  /** Sends one notification, `NAME=value` each. */
  send(variables: readonly string[]): Promise<void>
  /** Resolves after the time, or at once when the signal is aborted. */
  sleep(durationMs: number, signal: AbortSignal): Promise<void>
  /** Hears what the operator should: a failing check, a notification that could not be sent. */
  onProblem(text: string): void
}

/** @param env that of the process: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are read. */
export function createNotifier(
  env: Readonly<Record<string, string | undefined>>,
  ports: Partial<NotifierPorts> = {},
): Notifier {
  const onProblem = ports.onProblem ?? (() => undefined)
  const send = ports.send ?? ((variables) => sendBySystemdNotify(env, variables))
  const sleep = ports.sleep ?? sleepUntilAborted
  const isManaged = (env['NOTIFY_SOCKET'] ?? '') !== ''
  const intervalMs = isManaged ? watchdogIntervalMs(env) : undefined
  const ended = new AbortController()

  const tell = async (variables: readonly string[]) => {
    if (!isManaged) return
    try {
      await send(variables)
    } catch (error) {
      // Whatever the helper died of, the daemon itself is well: systemd judges by what it hears.
      onProblem(`systemd was not notified of ${variables[0]}: ${String(error)}`)
    }
  }

  const pingUntil = async (signal: AbortSignal, everyMs: number, check: SelfCheck) => {
    let troubled = false
    while (!signal.aborted) {
      const health = await check()
      if (signal.aborted) return
      if (health.outcome !== 'ok') {
        onProblem(`self-check: ${health.reason}`)
        await tell([statusLine(`self-check ${health.outcome}: ${health.reason}`)])
      } else if (troubled) await tell([statusLine('self-check ok again')])
      troubled = health.outcome !== 'ok'
      if (health.outcome !== 'failing') await tell(['WATCHDOG=1'])
      await sleep(everyMs, signal)
    }
  }

  return {
    isManaged,
    ready: (status) => tell(['READY=1', statusLine(status)]),
    status: (text) => tell([statusLine(text)]),
    stopping: (text) => {
      ended.abort()
      return tell(['STOPPING=1', statusLine(text)])
    },
    watch: (check) => {
      const stop = new AbortController()
      const signal = AbortSignal.any([stop.signal, ended.signal])
      // A check that throws is a fault of the program: the rejection ends the process.
      if (intervalMs !== undefined) void pingUntil(signal, intervalMs, check)
      return () => stop.abort()
    },
  }
}

/** A third of the unit's WatchdogSec, so that two pings may be lost; undefined without a watchdog. */
export function watchdogIntervalMs(
  env: Readonly<Record<string, string | undefined>>,
): number | undefined {
  const timeoutUs = Number(env['WATCHDOG_USEC'])
  if (!Number.isSafeInteger(timeoutUs) || timeoutUs <= 0) return undefined
  const pid = env['WATCHDOG_PID']
  if (pid !== undefined && pid !== String(process.pid)) return undefined
  return Math.max(1, Math.floor(timeoutUs / 3000))
}

/** Line ends and other control characters would begin a variable of their own. */
function statusLine(text: string): string {
  return `STATUS=${text.replaceAll(/\p{Cc}+/gu, ' ').trim()}`
}

/**
 * Node has no datagram sockets of the unix kind; systemd-notify(1) sends from a process of its own,
 * which is why both units say NotifyAccess=all.
 */
async function sendBySystemdNotify(
  env: Readonly<Record<string, string | undefined>>,
  variables: readonly string[],
): Promise<void> {
  const { NOTIFY_SOCKET, PATH } = env
  await promisify(execFile)('systemd-notify', [...variables], {
    env: { NOTIFY_SOCKET, PATH },
    timeout: limits.notifyTimeoutMs,
    killSignal: 'SIGKILL',
  })
}

async function sleepUntilAborted(durationMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await sleepFor(durationMs, undefined, { signal, ref: false }).catch((error: unknown) => {
    if (!signal.aborted) throw error
  })
}
