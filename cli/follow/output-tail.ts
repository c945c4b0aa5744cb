// What hooks say while a rollout is followed: each line once, with its host in front.

import type { HookOutputView } from '#shared/api/output-schemas.ts'
import { LockstepError } from '#shared/errors.ts'
import type { ControllerClient } from '../client/controller-client.ts'
import { dim, type Text, warning } from '../output/text.ts'

export class OutputTail {
  readonly #client: Pick<ControllerClient, 'output'>
  readonly #rollout: string
  #after = 0

  constructor(client: Pick<ControllerClient, 'output'>, rollout: string) {
    this.#client = client
    this.#rollout = rollout
  }

  /** What is new. None of it is needed: a controller that does not answer is asked again later. */
  async next(): Promise<readonly HookOutputView[]> {
    const found: HookOutputView[] = []
    try {
      for (;;) {
        const { items, next } = await this.#client.output(this.#rollout, this.#after)
        found.push(...items)
        this.#after = items.at(-1)?.id ?? this.#after
        if (next === null) return found
      }
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error
      return found
    }
  }
}

export function outputLines({ host, hook, text, truncated }: HookOutputView): Text[] {
  const lines = text.split('\n')
  return lines.map((line, at) => {
    const isCut = truncated && at === lines.length - 1
    return [dim(`${host} ${hook} | `), line, ...(isCut ? [' ', warning('(cut off)')] : [])]
  })
}
