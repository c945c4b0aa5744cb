// The visitors' process as the demo sees it: what was answered so far, and when that is enough.

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Visits } from './visitors.ts'

export type { Visits } from './visitors.ts'

export class Crowd {
  readonly #child: ChildProcess
  readonly #closed: Promise<void>
  #isOver = false
  #visits: readonly Visits[] = []
  #wake: () => void = () => undefined

  constructor(sites: ReadonlyMap<string, string>) {
    const script = join(import.meta.dirname, 'visitors.ts')
    this.#child = fork(
      script,
      [...sites].map(([host, url]) => `${host}=${url}`),
    )
    this.#child.on('message', (visits: readonly Visits[]) => {
      this.#visits = visits
      this.#wake()
    })
    this.#closed = once(this.#child, 'close').then(() => {
      this.#isOver = true
      this.#wake()
    })
  }

  get visits(): readonly Visits[] {
    return this.#visits
  }

  /** Resolves once the visits so far are as wanted. */
  async until(isEnough: (visits: readonly Visits[]) => boolean): Promise<void> {
    while (this.#visits.length === 0 || !isEnough(this.#visits)) {
      if (this.#isOver) throw new Error('the visitors have ended')
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async stop(): Promise<void> {
    this.kill('SIGTERM')
    await this.#closed
  }
}

export function answersOf(visits: readonly Visits[], release?: string): number {
  return visits
    .flatMap(({ answers }) => Object.entries(answers))
    .reduce((sum, [of, count]) => (release === undefined || of === release ? sum + count : sum), 0)
}

export function failedOf(visits: readonly Visits[]): number {
  return visits.reduce((sum, { failed }) => sum + failed, 0)
}
