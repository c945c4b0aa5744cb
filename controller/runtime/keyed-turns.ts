// One piece of work at a time for each key, in the order in which it was asked for.

export class KeyedTurns {
  readonly #last = new Map<string, Promise<unknown>>()

  /** Does the work when all that was asked for under this key before has ended, however it ended. */
  async take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key)
    const turn = Promise.allSettled([before]).then(work)
    this.#last.set(key, turn)
    try {
      return await turn
    } finally {
      if (this.#last.get(key) === turn) this.#last.delete(key)
    }
  }
}
