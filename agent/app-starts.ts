// Starts each app of the host by itself: joins for those that have not joined yet, and tries again
// what may come right later. What keeps one app from starting holds no other up.

import type { Clock } from '#shared/clock.ts'
import { backoffDelayMs } from '#shared/backoff.ts'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'

export interface StartPorts<App> {
  readonly clock: Clock
  readonly random: () => number
  readonly hasJoined: (app: App) => boolean
  /**
   * Joins for every app, if there is anything to join with.
   * @throws LockstepError
   */
  readonly join: () => Promise<void>
  /** @throws LockstepError */
  readonly start: (app: App) => Promise<void>
  /** Apps have come after `begin` resolved. */
  readonly onLate: () => void
  /** Said once until it changes. @param app null while joining for those that are missing */
  readonly onTrouble: (app: App | null, error: LockstepError) => void
}

export class AppStarts<App> {
  readonly #ports: StartPorts<App>
  readonly #missing: Set<App>
  readonly #said = new Map<App | null, string>()
  readonly #joinOver = Promise.withResolvers<void>()
  #isJoining = true
  #isStopped = false
  #attempt = 0
  #cancel: () => void = () => undefined

  constructor(apps: readonly App[], ports: StartPorts<App>) {
    this.#ports = ports
    this.#missing = new Set(apps)
  }

  /** When what the host joins with has been used, or is good for nothing. */
  get joined(): Promise<void> {
    return this.#joinOver.promise
  }

  /**
   * Resolves when what can be started now is; the rest follows when it can be.
   * @throws LockstepError of joining when the host has joined for no app yet, or of the first app
   *   when none can be started
   */
  async begin(): Promise<void> {
    if (![...this.#missing].some(this.#ports.hasJoined)) {
      await this.#ports.join()
      this.#endJoining()
    }
    const count = this.#missing.size
    const refusals = await this.#startJoined()
    const [first] = refusals
    if (first !== undefined && this.#missing.size === count) throw first
    if (refusals.length > 0) this.#later()
    else void this.#goOn()
  }

  stop(): void {
    this.#isStopped = true
    this.#cancel()
  }

  async #goOn(): Promise<void> {
    const mayJoinLater = await this.#joinForMissing()
    const count = this.#missing.size
    const refusals = this.#isStopped ? [] : await this.#startJoined()
    if (this.#isStopped) return
    if (this.#missing.size < count) this.#ports.onLate()
    if (mayJoinLater || refusals.length > 0) this.#later()
  }

  #later(): void {
    const { clock, random } = this.#ports
    const bounds = { minMs: limits.reconnectMinMs, maxMs: limits.reconnectMaxMs }
    const delayMs = backoffDelayMs(this.#attempt, random(), bounds)
    this.#attempt += 1
    this.#cancel = clock.timer(clock.now() + delayMs, () => void this.#goOn())
  }

  /** @returns whether it is worth trying again */
  async #joinForMissing(): Promise<boolean> {
    if (!this.#isJoining) return false
    const { hasJoined, join } = this.#ports
    try {
      if (![...this.#missing].every(hasJoined)) await join()
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error
      this.#say(null, error)
      // An old token that lies about must not take the apps out that it was once used for.
      if (error.retryable) return true
    }
    this.#endJoining()
    return false
  }

  #endJoining(): void {
    this.#isJoining = false
    this.#joinOver.resolve()
    for (const app of this.#missing) if (!this.#ports.hasJoined(app)) this.#say(app, notJoined())
  }

  /** @returns what kept apps from being started that the host has joined for */
  async #startJoined(): Promise<LockstepError[]> {
    const refusals: LockstepError[] = []
    for (const app of this.#missing) {
      if (!this.#ports.hasJoined(app)) continue
      try {
        await this.#ports.start(app)
        this.#missing.delete(app)
      } catch (error) {
        if (!(error instanceof LockstepError)) throw error
        this.#say(app, error)
        refusals.push(error)
      }
    }
    return refusals
  }

  #say(app: App | null, error: LockstepError): void {
    if (this.#said.get(app) === error.message) return
    this.#said.set(app, error.message)
    this.#ports.onTrouble(app, error)
  }
}

function notJoined(): LockstepError {
  return new LockstepError('join-not-allowed', 'not enrolled for this app and environment', {
    hint: 'Join again with a token that names it.',
  })
}
