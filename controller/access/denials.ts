// Denied attempts on their way into the audit trail: told at once the first time, then counted, so that
// whoever tries all day fills no disk. docs/audit.md, "Denied attempts".

import type { AuditRecord } from './audit.ts'
import type { Clock } from '#shared/clock.ts'
import type { ErrorCode } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'

/** Who tried what from where, and why it was refused. Alike in all of it is one attempt, repeated. */
export interface Attempt {
  readonly who: string
  readonly what: string
  readonly app: string | null
  readonly environment: string | null
  readonly address: string
  readonly code: ErrorCode
}

export interface DenialPorts {
  clock: Clock
  record: (record: AuditRecord) => Promise<void>
  /** The attempt was refused all the same. */
  onUnrecorded: (error: unknown) => void
}

/** Whoever did not prove to be anybody. */
const nobody = 'nobody'

interface Window {
  readonly attempt: Attempt
  readonly sizeMs: number
  readonly since: number
  readonly cancel: () => void
  /** After one without any: the next one without any is the last. */
  readonly isQuiet: boolean
  /** Those since the last entry. */
  count: number
}

/** What may be told apart and written of one kind of callers. */
class Budget {
  windows = 0
  /** Entries that may be written now; it fills up again with time. */
  #room: number = limits.denialEntriesMax
  #roomAt: number

  constructor(at: number) {
    this.#roomAt = at
  }

  takeRoom(now: number): boolean {
    const grown = (now - this.#roomAt) / limits.denialEntryEveryMs
    this.#room = Math.min(limits.denialEntriesMax, this.#room + grown)
    this.#roomAt = now
    if (this.#room < 1) return false
    this.#room -= 1
    return true
  }
}

export class Denials {
  readonly #ports: DenialPorts
  readonly #windows = new Map<string, Window>()
  readonly #ofStrangers: Budget
  /** A flood without any token must not hide what somebody tries who has one. */
  readonly #ofKnown: Budget
  #others = 0
  #cancelOthers: (() => void) | null = null
  #written: Promise<void> = Promise.resolve()

  constructor(ports: DenialPorts) {
    this.#ports = ports
    this.#ofStrangers = new Budget(ports.clock.now())
    this.#ofKnown = new Budget(ports.clock.now())
  }

  note(attempt: Attempt): void {
    const key = JSON.stringify(Object.values(attempt))
    const known = this.#windows.get(key)
    if (known !== undefined) {
      known.count += 1
      return
    }
    const isFull = this.#budgetOf(attempt).windows >= limits.denialWindowsMax
    if (isFull || !this.#takeRoom(attempt)) {
      this.#countOthers(1)
      return
    }
    this.#write(attempt, 1)
    this.#open(key, attempt, limits.denialWindowMs, false)
  }

  /** Writes what was only counted so far. */
  async stop(): Promise<void> {
    for (const window of this.#windows.values()) {
      window.cancel()
      if (window.count > 0) this.#write(window.attempt, window.count, window.since)
    }
    this.#windows.clear()
    this.#writeOthers()
    await this.idle()
  }

  /** Resolves when everything that was to be written so far is. */
  idle(): Promise<void> {
    return this.#written
  }

  #open(key: string, attempt: Attempt, sizeMs: number, isQuiet: boolean): void {
    const since = this.#ports.clock.now()
    const cancel = this.#ports.clock.timer(since + sizeMs, () => this.#close(key))
    this.#budgetOf(attempt).windows += 1
    this.#windows.set(key, { attempt, sizeMs, since, cancel, isQuiet, count: 0 })
  }

  /** Whoever goes on is told of less and less often; whoever stopped is forgotten. */
  #close(key: string): void {
    const window = this.#windows.get(key)
    this.#windows.delete(key)
    if (window === undefined) return
    const { attempt, count, sizeMs, since, isQuiet } = window
    this.#budgetOf(attempt).windows -= 1
    if (count === 0) {
      if (!isQuiet) this.#open(key, attempt, sizeMs, true)
      return
    }
    if (this.#takeRoom(attempt)) this.#write(attempt, count, since)
    else this.#countOthers(count)
    this.#open(key, attempt, Math.min(2 * sizeMs, limits.denialWindowMaxMs), false)
  }

  #budgetOf({ who }: Attempt): Budget {
    return who === nobody ? this.#ofStrangers : this.#ofKnown
  }

  #takeRoom(attempt: Attempt): boolean {
    return this.#budgetOf(attempt).takeRoom(this.#ports.clock.now())
  }

  /** One entry for all that had no room, once a window: how many there were is never lost. */
  #countOthers(count: number): void {
    this.#others += count
    const { clock } = this.#ports
    this.#cancelOthers ??= clock.timer(clock.now() + limits.denialOthersMs, () => {
      this.#cancelOthers = null
      this.#writeOthers()
    })
  }

  #writeOthers(): void {
    this.#cancelOthers?.()
    this.#cancelOthers = null
    const count = this.#others
    this.#others = 0
    if (count > 0) this.#record({ who: nobody, what: 'attempts', details: { count } })
  }

  #write({ who, what, app, environment, address, code }: Attempt, count: number, since?: number) {
    const details = { address, code, count, ...(since === undefined ? {} : { since }) }
    this.#record({ who, what, app, environment, details })
  }

  /** In the order in which they were noted, and never in the way of an answer. */
  #record(record: Omit<AuditRecord, 'at' | 'outcome'>): void {
    const at = this.#ports.clock.now()
    this.#written = this.#written
      .then(() => this.#ports.record({ ...record, at, outcome: 'denied' }))
      .catch(this.#ports.onUnrecorded)
  }
}
