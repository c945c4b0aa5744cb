// Wakes whoever waits for something to have changed, so that no test ever polls or sleeps.

export class News {
  #next = Promise.withResolvers<void>()

  /** Resolves at the next `tell`. Taken before looking, it misses nothing. */
  next(): Promise<void> {
    return this.#next.promise
  }

  tell(): void {
    const { resolve } = this.#next
    this.#next = Promise.withResolvers<void>()
    resolve()
  }
}
