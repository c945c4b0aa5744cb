// What the command uses of the world around it, as ports: main.ts gives the real ones, tests their own.

import type { Readable } from 'node:stream'
import type { ExamineHost } from '#shared/finding.ts'
import type { HostApps } from '#shared/host-apps.ts'
import type { Environment } from './connection.ts'
import type { Terminal } from './output/terminal.ts'
import type { Services } from './services.ts'

export interface Clock {
  /** Epoch milliseconds; for showing and for measuring how long nothing was heard, never for safety. */
  now(): number
  /** Resolves early when the signal is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** Ctrl-C or a polite kill, while something lasts that goes on without us. */
export class Interruption extends Error {
  override readonly name = 'Interruption'
  /** 128 + the signal's number, as shells count it. */
  readonly exitCode: number

  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super(signal === 'SIGINT' ? 'interrupted' : 'terminated')
    this.exitCode = signal === 'SIGINT' ? 130 : 143
  }
}

export interface Interruptions {
  /** Aborted with an Interruption; from `stop` on a signal kills as usual. */
  readonly signal: AbortSignal
  stop(): void
}

export interface Surroundings {
  readonly env: Environment
  readonly terminal: Terminal
  readonly clock: Clock
  /** In [0, 1). */
  readonly random: () => number
  /** An unguessable word, for Idempotency-Key. */
  readonly newKey: () => string
  readonly stdin: Readable
  readonly version: string
  readonly catchInterruptions: () => Interruptions
  readonly services: Services
  /** Loads the agent's own code, which few commands need. */
  readonly openHostApps: () => Promise<HostApps>
  /** Looks at this host; the agent's own code too. */
  readonly examineHost: ExamineHost
}
