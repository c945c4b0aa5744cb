// Notices that nothing moves any more: a client that stopped sending, or a decoder or parser that
// stopped working. Publishing then ends with an error instead of waiting forever.

import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'

/** Calls `fire` once after `delayMs`, unless the returned function was called before. */
export type StartTimer = (delayMs: number, fire: () => void) => () => void

export class ProgressWatchdog {
  readonly #startTimer: StartTimer
  readonly #stalled = new AbortController()
  #moved = true
  #stopTimer: () => void = () => {}

  constructor(startTimer: StartTimer) {
    this.#startTimer = startTimer
    this.#arm()
  }

  /** Aborted with LockstepError `stalled` after one to two periods without progress. */
  get signal(): AbortSignal {
    return this.#stalled.signal
  }

  progress(): void {
    this.#moved = true
  }

  stop(): void {
    this.#stopTimer()
  }

  #arm(): void {
    this.#moved = false
    this.#stopTimer = this.#startTimer(limits.publishStallMs, () => {
      if (this.#moved) this.#arm()
      else this.#stalled.abort(stalled())
    })
  }
}

function stalled(): LockstepError {
  const seconds = limits.publishStallMs / 1000
  return new LockstepError('stalled', `Nothing of the tarball arrived for ${seconds} seconds`, {
    hint: 'Publish it again; if it stops at the same place, check the network between.',
  })
}
