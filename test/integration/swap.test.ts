// The swap under readers: 10,000 swaps of `current` while four processes read through it without a
// pause. Every read must succeed. The same with `unlink` + `symlink` must fail, else the harness
// would prove nothing.

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { type AppLayout, layoutOf, prepareLayout, versionPath } from '#agent/layout/app-layout.ts'
import { activateVersion } from '#agent/layout/current-link.ts'
import type { Scope } from './content-server.ts'
import type { ReaderCounts } from './swap-reader.ts'

// Only a ceiling for hangs.
t.setTimeout(300_000)

const readerCount = 4
const swapsMin = 10_000
const readsMin = 100_000
/** A bound for a machine that gives the readers no time; never reached on any that does. */
const swapsMax = 1_000_000
const versions = ['1.0.0', '1.0.1']

interface Outcome {
  readonly swaps: number
  readonly reads: number
  readonly failures: number
  readonly seen: string[]
  readonly firstFailure: string | null
}

function preparedLayout(t: Scope): AppLayout {
  const layout = layoutOf(t.testdir({}))
  prepareLayout(layout)
  for (const version of versions) {
    mkdirSync(versionPath(layout, version))
    writeFileSync(join(versionPath(layout, version), 'marker'), version)
  }
  activateVersion(layout, '1.0.0')
  return layout
}

/** The readers' processes, and what each said last. */
class Readers {
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

  get outcome(): Omit<Outcome, 'swaps'> {
    const all = [...this.#counts.values()]
    return {
      reads: all.reduce((sum, { reads }) => sum + reads, 0),
      failures: all.reduce((sum, { failures }) => sum + failures, 0),
      seen: [...new Set(all.flatMap(({ seen }) => seen))].toSorted(),
      firstFailure: all.find(({ firstFailure }) => firstFailure !== null)?.firstFailure ?? null,
    }
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

async function swapUnderReaders(
  t: Scope,
  swap: (layout: AppLayout, version: string) => void,
  isEnough: (outcome: Outcome) => boolean,
): Promise<Outcome> {
  const layout = preparedLayout(t)
  const readers = await Readers.start(t, layout.current)
  const { reads: readsBefore } = readers.outcome
  let outcome: Outcome
  let swaps = 0
  do {
    for (let count = 0; count < 20; count += 1) swap(layout, versions[(swaps += 1) % 2] ?? '')
    // The readers' messages are heard.
    await setImmediate()
    const { reads, ...rest } = readers.outcome
    outcome = { ...rest, swaps, reads: reads - readsBefore }
  } while (!isEnough(outcome) && swaps < swapsMax)
  await readers.stop()
  return outcome
}

void t.test('no reader ever finds current missing or half', async (t) => {
  const outcome = await swapUnderReaders(
    t,
    (layout, version) => activateVersion(layout, version),
    ({ swaps, reads, failures }) => failures > 0 || (swaps >= swapsMin && reads >= readsMin),
  )
  const { swaps, reads, failures, seen, firstFailure } = outcome
  t.comment(`${swaps} swaps, ${reads} reads by ${readerCount} processes, ${failures} failed`)
  t.ok(swaps >= swapsMin, 'enough swaps')
  t.ok(reads >= readsMin, 'enough reads')
  t.equal(failures, 0, firstFailure ?? 'no read failed')
  t.same(seen, versions, 'both releases were read')
})

void t.test('the harness sees a swap that is none: unlink and symlink', async (t) => {
  const outcome = await swapUnderReaders(
    t,
    (layout, version) => {
      unlinkSync(layout.current)
      symlinkSync(`versions/${version}`, layout.current)
    },
    ({ failures }) => failures > 0,
  )
  const { swaps, reads, failures, firstFailure } = outcome
  t.comment(`${swaps} swaps, ${reads} reads, ${failures} failed`)
  t.ok(failures > 0, 'readers met the gap')
  t.match(firstFailure, 'ENOENT')
})
