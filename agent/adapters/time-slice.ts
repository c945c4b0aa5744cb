// Lets long synchronous work take turns with the event loop, so that a timed activation or a
// report never waits for it. Owns no work.

import { setImmediate } from 'node:timers/promises'

/** Short against the 20 ms of clock error that an activation on time tolerates. */
const sliceMs = 3

export class TimeSlice {
  #startedMs = performance.now()

  /** Whether the slice is used up: then `await rest()`. Costs well below a microsecond. */
  get isOver(): boolean {
    return performance.now() - this.#startedMs > sliceMs
  }

  /** Gives the event loop its turn. */
  async rest(): Promise<void> {
    await setImmediate()
    this.#startedMs = performance.now()
  }
}
