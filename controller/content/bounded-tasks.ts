// Runs tasks a few at a time and remembers the first failure. Not for tasks whose order matters.

export class BoundedTasks {
  readonly #runningMax: number
  readonly #running = new Set<Promise<void>>()
  #failure: { error: unknown } | null = null

  constructor(runningMax: number) {
    this.#runningMax = runningMax
  }

  /**
   * Starts `task` as soon as there is room, and returns then.
   * @throws what an earlier task threw, without starting this one.
   */
  async start(task: () => Promise<void>): Promise<void> {
    while (this.#running.size >= this.#runningMax) await Promise.race(this.#running)
    this.#throwFailure()
    const running = task()
      .catch((error: unknown) => {
        this.#failure ??= { error }
      })
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  /** @throws what the first failing task threw, when none runs any more. */
  async finish(): Promise<void> {
    await this.settled()
    this.#throwFailure()
  }

  /** Done when none runs any more, however they ended. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  #throwFailure(): void {
    if (this.#failure !== null) throw this.#failure.error
  }
}
