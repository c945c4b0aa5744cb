// A clock that only moves when the test says so, and timers that fire as it moves.

import type { Clock } from '#shared/clock.ts'

interface Timer {
  readonly at: number
  readonly callback: () => void
}

export class FakeClock implements Clock {
  #now: number
  #timers: readonly Timer[] = []

  constructor(now = 1_700_000_000_000) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  timer(at: number, callback: () => void): () => void {
    const timer = { at, callback }
    this.#timers = [...this.#timers, timer]
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  /** The instants of the timers that are set, the next one first. */
  get pending(): readonly number[] {
    return this.#timers.map((timer) => timer.at).toSorted((a, b) => a - b)
  }

  /** Moves on, firing what comes due on the way, in order, each at its own time. */
  advance(ms: number): void {
    const end = this.#now + ms
    for (let next = this.#due(end); next !== undefined; next = this.#due(end)) {
      const timer = next
      this.#timers = this.#timers.filter((other) => other !== timer)
      this.#now = Math.max(this.#now, timer.at)
      timer.callback()
    }
    this.#now = end
  }

  #due(end: number): Timer | undefined {
    return this.#timers
      .filter((timer) => timer.at <= end)
      .toSorted((a, b) => a.at - b.at)
      .at(0)
  }
}
