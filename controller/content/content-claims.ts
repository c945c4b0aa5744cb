// Who relies on which stored files right now, so that a sweep removes none of them. Lives in memory:
// what relied on a file ended with the process. docs/adr/0009-sweep-beside-publishing.md.
//
// Why nothing that is needed is lost: claiming and the judgement before a removal are both one step
// of this thread. Whoever claims first finds the file in place until it lets go; whoever claims
// later waits until the file is gone, looks, and writes it anew. What a batch let go since a sweep
// began stays claimed until the sweep ends: the release that it became may have been recorded after
// the sweep asked what is recorded.

export class ContentClaims {
  readonly #batches = new Set<BatchClaims>()
  /** How many read each file. */
  readonly #readers = new Map<string, number>()
  readonly #removals = new Map<string, Promise<void>>()
  #isSweeping = false
  readonly #letGoMeanwhile = new Set<BatchClaims>()

  /** For one batch. */
  open(): BatchClaims {
    const claims: BatchClaims = new BatchClaims(this.#removals, () => {
      this.#batches.delete(claims)
      if (this.#isSweeping) this.#letGoMeanwhile.add(claims)
    })
    this.#batches.add(claims)
    return claims
  }

  /**
   * For one reader; done when the file is not being removed any more: look then.
   * @returns lets go, once
   */
  async read(path: string): Promise<() => void> {
    this.#readers.set(path, (this.#readers.get(path) ?? 0) + 1)
    await this.#removals.get(path)
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      const left = (this.#readers.get(path) ?? 0) - 1
      if (left === 0) this.#readers.delete(path)
      else this.#readers.set(path, left)
    }
  }

  /** Before it is asked what is recorded; one sweep at a time. @returns ends it */
  beginSweep(): () => void {
    this.#isSweeping = true
    return () => {
      this.#isSweeping = false
      this.#letGoMeanwhile.clear()
    }
  }

  isClaimed(path: string): boolean {
    if (this.#readers.has(path)) return true
    const has = (claims: BatchClaims): boolean => claims.has(path)
    return [...this.#batches].some(has) || [...this.#letGoMeanwhile].some(has)
  }

  /** Does `remove` unless the path is claimed. @returns whether it was done */
  async removeUnclaimed(path: string, remove: () => Promise<void>): Promise<boolean> {
    if (this.isClaimed(path)) return false
    const removal = remove()
    this.#removals.set(
      path,
      Promise.allSettled([removal]).then(() => undefined),
    )
    try {
      await removal
    } finally {
      this.#removals.delete(path)
    }
    return true
  }
}

/** What one batch wrote or found in place. */
export class BatchClaims {
  readonly #paths = new Set<string>()
  readonly #removals: ReadonlyMap<string, Promise<void>>
  readonly #letGo: () => void

  constructor(removals: ReadonlyMap<string, Promise<void>>, letGo: () => void) {
    this.#removals = removals
    this.#letGo = letGo
  }

  has(path: string): boolean {
    return this.#paths.has(path)
  }

  /** Holds from the call on; done when the file is not being removed any more: look then. */
  add(path: string): Promise<void> {
    this.#paths.add(path)
    return this.#removals.get(path) ?? Promise.resolve()
  }

  letGo(): void {
    this.#letGo()
  }
}
