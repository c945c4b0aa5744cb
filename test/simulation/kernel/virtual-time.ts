// Virtual time: what is due is done in order, one thing after another, and everything that promises
// go on with is finished before the next thing. No real clock is read and nothing really waits.

import type { Clock } from '#shared/clock.ts'

interface Due {
  at: number
  order: number
  run: (() => void) | null
}

export class VirtualTime {
  #now = 0
  #order = 0
  readonly #heap: Due[] = []
  #afterStep: () => void = () => undefined

  /** Milliseconds since the world began. */
  get now(): number {
    return this.#now
  }

  /** Called after every thing that was done, when all that follows at once has settled. */
  onStep(callback: () => void): void {
    this.#afterStep = callback
  }

  /** Returns what cancels it. */
  at(at: number, run: () => void): () => void {
    const due: Due = { at: Math.max(at, this.#now), order: (this.#order += 1), run }
    push(this.#heap, due)
    return () => {
      due.run = null
    }
  }

  after(delayMs: number, run: () => void): () => void {
    return this.at(this.#now + delayMs, run)
  }

  /** Does everything that is due up to `until`; stops as soon as `isOver` says so. */
  async runUntil(until: number, isOver: () => boolean = () => false): Promise<void> {
    while (!isOver()) {
      const next = this.#heap[0]
      if (next === undefined || next.at > until) break
      pop(this.#heap)
      if (next.run === null) continue
      this.#now = next.at
      next.run()
      await settled()
      this.#afterStep()
    }
    if (!isOver()) this.#now = Math.max(this.#now, until)
  }
}

/** The clock of one process: an origin of its own, and silence once the process is gone. */
export class ProcessClock implements Clock {
  readonly #time: VirtualTime
  readonly #originMs: number
  #isAlive = true

  constructor(time: VirtualTime, originMs: number) {
    this.#time = time
    this.#originMs = originMs
  }

  get isAlive(): boolean {
    return this.#isAlive
  }

  now(): number {
    return this.#time.now + this.#originMs
  }

  timer(at: number, callback: () => void): () => void {
    return this.#time.at(at - this.#originMs, () => {
      if (this.#isAlive) callback()
    })
  }

  /** Never resolves once the process is gone: nothing of it goes on. */
  async sleep(delayMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.timer(this.now() + delayMs, resolve)
    return promise
  }

  stop(): void {
    this.#isAlive = false
  }
}

/** Microtasks are all done before an immediate runs. */
async function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

function isBefore(a: Due, b: Due): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}

function push(heap: Due[], due: Due): void {
  let index = heap.length
  heap.push(due)
  while (index > 0) {
    const parent = (index - 1) >> 1
    const above = heap[parent]
    if (above === undefined || !isBefore(due, above)) break
    heap[index] = above
    index = parent
  }
  heap[index] = due
}

function pop(heap: Due[]): void {
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return
  let index = 0
  for (;;) {
    let child = 2 * index + 1
    const left = heap[child]
    if (left === undefined) break
    const right = heap[child + 1]
    if (right !== undefined && isBefore(right, left)) child += 1
    const smallest = heap[child]
    if (smallest === undefined || !isBefore(smallest, last)) break
    heap[index] = smallest
    index = child
  }
  heap[index] = last
}
