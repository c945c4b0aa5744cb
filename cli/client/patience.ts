// Asks again while the controller does not answer, and says so. Only for what may be asked twice: reading,
// and requests that bear an Idempotency-Key.

import { backoffDelayMs } from '#shared/backoff.ts'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { durationText } from '../output/quantities.ts'
import { type Text, warning } from '../output/text.ts'
import type { Clock } from '../surroundings.ts'
import { isPassing, isSilence } from './unreachable.ts'

export interface PatienceOptions {
  readonly clock: Clock
  readonly random: () => number
  readonly say: (text: Text) => void
  readonly signal: AbortSignal
  /** How long no answer is borne. */
  readonly limitMs: number
  /** Whether it answered before: then even a cause that looks lasting may pass. */
  readonly hasAnswered: boolean
}

/**
 * @throws LockstepError what the controller refuses; `unreachable` or `busy` after the limit; the
 *   signal's reason
 */
export async function askPatiently<T>(ask: () => Promise<T>, options: PatienceOptions): Promise<T> {
  const { clock, say, signal } = options
  const silence = new Silence(options)
  for (let attempt = 0; ; attempt += 1) {
    signal.throwIfAborted()
    try {
      const answer = await ask()
      if (attempt > 0) say('the controller answers again')
      return answer
    } catch (error) {
      if (!isPassing(error) && !(options.hasAnswered && isSilence(error))) throw error
      silence.noticed(error, clock.now())
    }
    const bounds = { minMs: limits.reconnectMinMs, maxMs: 2 * limits.pollEveryMs }
    // Half fixed, half drawn: many commands must not return in step, and none may spin.
    await clock.sleep(bounds.minMs + backoffDelayMs(attempt, options.random(), bounds), signal)
  }
}

class Silence {
  readonly #options: PatienceOptions
  #since: number | undefined
  #mentionedAt = 0

  constructor(options: PatienceOptions) {
    this.#options = options
  }

  /** Says it at first and from time to time. @throws LockstepError the error, after the limit */
  noticed(error: LockstepError, now: number): void {
    const { say, limitMs } = this.#options
    this.#since ??= now
    const silentMs = now - this.#since
    if (silentMs >= limitMs) {
      throw new LockstepError(error.code, `${error.message}, for ${durationText(silentMs)}`, {
        ...(error.hint === undefined ? {} : { hint: error.hint }),
        cause: error,
      })
    }
    if (silentMs > 0 && now - this.#mentionedAt < limits.stillTryingEveryMs) return
    this.#mentionedAt = now
    const since = silentMs === 0 ? '' : `, for ${durationText(silentMs)} now`
    say(warning(`${error.message}${since}; still trying`))
  }
}
