// The swap under readers: 10,000 swaps of `current` while four processes read through it without a
// pause. Every read must succeed. The same with `unlink` + `symlink` must fail, else the harness
// would prove nothing.

import { mkdirSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { type AppLayout, layoutOf, prepareLayout, versionPath } from '#agent/layout/app-layout.ts'
import { activateVersion } from '#agent/layout/current-link.ts'
import type { Scope } from './content-server.ts'
import { readerCount, Readers, type ReadOutcome } from './swap-readers.ts'

// Only a ceiling for hangs.
t.setTimeout(300_000)

const swapsMin = 10_000
const readsMin = 100_000
/** A bound for a machine that gives the readers no time; never reached on any that does. */
const swapsMax = 1_000_000
const versions = ['1.0.0', '1.0.1']

interface Outcome extends ReadOutcome {
  readonly swaps: number
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
