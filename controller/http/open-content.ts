// The answers with content that are under way to each host, so that a host that is turned away hears
// no further byte, not even of a stream that began before. Lives in memory, like the streams.

import type { ServerResponse } from 'node:http'

export class OpenContent {
  readonly #answers = new Map<string, Set<ServerResponse>>()

  /** From before the host is looked up: whoever is turned away meanwhile is found here. */
  add(host: string, answer: ServerResponse): void {
    const answers = this.#answers.get(host) ?? new Set()
    this.#answers.set(host, answers.add(answer))
    answer.once('close', () => {
      answers.delete(answer)
      if (answers.size === 0 && this.#answers.get(host) === answers) this.#answers.delete(host)
    })
  }

  end(host: string): void {
    for (const answer of this.#answers.get(host) ?? []) answer.destroy()
  }
}
