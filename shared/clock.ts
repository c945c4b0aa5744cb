// The clock that runners are given: the only source of time, and of waiting.

export interface Clock {
  /** Milliseconds with fractions; never goes back within one process. */
  now(): number
  /** Calls back once, not before `at`. Returns what cancels it. */
  timer(at: number, callback: () => void): () => void
}
