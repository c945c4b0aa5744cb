// Processes that read through `current` without a pause while a test changes it.

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Scope } from './content-server.ts'
import type { ReaderCounts } from './swap-reader.ts'

export const readerCount = 4

export interface ReadOutcome {
  readonly reads: number
  readonly failures: number
  readonly seen: string[]
  readonly firstFailure: string | null
}

/** The readers' processes, and what each said last. */
export class Readers {
  readonly #processes: ChildProcess[]
  readonly #counts = new Map<ChildProcess, ReaderCounts>()

  private constructor(current: string) {
    const script = join(import.meta.dirname, 'swap-reader.ts')
    this.#processes = Array.from({ length: readerCount }, () => fork(script, [current]))
    for (const reader of this.#processes) {
      reader.on('message', (counts: ReaderCounts) => this.#counts.set(reader, counts))
    }
  }

  /** Resolves when every reader reads. */
  static async start(t: Scope, current: string): Promise<Readers> {
    const readers = new Readers(current)
    t.teardown(() => readers.stop())
    await Promise.all(readers.#processes.map((reader) => once(reader, 'message')))
    return readers
  }

  get outcome(): ReadOutcome {
    const all = [...this.#counts.values()]
    return {
      reads: all.reduce((sum, { reads }) => sum + reads, 0),
      failures: all.reduce((sum, { failures }) => sum + failures, 0),
      seen: [...new Set(all.flatMap(({ seen }) => seen))].toSorted(),
      firstFailure: all.find(({ firstFailure }) => firstFailure !== null)?.firstFailure ?? null,
    }
  }

  /** Resolves when every reader has read on: what happened before was read through. */
  async readOn(): Promise<void> {
    await Promise.all(this.#processes.map((reader) => once(reader, 'message')))
    await Promise.all(this.#processes.map((reader) => once(reader, 'message')))
  }

  async stop(): Promise<void> {
    const running = this.#processes.filter(
      ({ exitCode, signalCode }) => exitCode === null && signalCode === null,
    )
    await Promise.all(
      running.map(async (reader) => {
        const ended = once(reader, 'exit')
        reader.disconnect()
        await ended
      }),
    )
  }
}
