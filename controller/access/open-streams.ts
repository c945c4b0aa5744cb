// The streams that callers hold open: a token that is revoked takes its streams with it.

export class OpenStreams {
  readonly #byToken = new Map<string, Set<() => void>>()

  /**
   * @param end is called when the token is revoked
   * @returns what to call when the stream has ended
   */
  add(token: string, end: () => void): () => void {
    const streams = this.#byToken.get(token) ?? new Set()
    this.#byToken.set(token, streams.add(end))
    return () => {
      streams.delete(end)
      if (streams.size === 0 && this.#byToken.get(token) === streams) this.#byToken.delete(token)
    }
  }

  revoke(token: string): void {
    for (const end of this.#byToken.get(token) ?? []) end()
  }
}
