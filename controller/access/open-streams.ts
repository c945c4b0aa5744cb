// The streams that callers hold open: a token that is revoked takes its streams with it.

import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'

export class OpenStreams {
  readonly #byToken = new Map<string, Set<() => void>>()

  /** @throws LockstepError `too-many-requests` where the token has as many as it may. */
  checkRoom(token: string): void {
    if ((this.#byToken.get(token)?.size ?? 0) < limits.streamsPerTokenMax) return
    throw new LockstepError('too-many-requests', 'this token has too many streams open', {
      hint: `Close one: there may be ${limits.streamsPerTokenMax}. Give each program its own token.`,
    })
  }

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
