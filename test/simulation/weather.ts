// How evil an hour is: what fails how often, and how long everything takes, drawn from the seed.

import type { Random } from './kernel/random.ts'
import { calm, type Faults, type Range } from './world/faults.ts'

const usual: readonly Range[] = [[0.2, 4]]
const ranges = {
  latencyMs: [
    [1, 5],
    [1, 5],
    [20, 120],
  ],
  stageMs: [
    [50, 500],
    [200, 2000],
    [1000, 15_000],
    [500, 60_000],
    [500, 60_000],
  ],
  attestMs: [
    [1, 10],
    [5, 50],
    [50, 1500],
  ],
  cleanUpMs: [
    [5, 500],
    [200, 4000],
  ],
  lookMs: [
    [0, 1],
    [0, 1],
    [0, 400],
  ],
  onceMs: [
    [1, 50],
    [500, 2000],
    [1000, 15_000],
  ],
  slowMs: [
    [0.2, 4],
    [1, 200],
  ],
} as const satisfies Record<string, readonly Range[]>

/** Some hours are evil in one way, some in all. */
export function faultsOf(random: Random): Faults {
  const evil = () => random.chance(0.5)
  const line = evil()
  const hosts = evil()
  const disks = evil()
  return {
    ...calm,
    latencyMs: random.pick(ranges.latencyMs),
    stageMs: random.pick(ranges.stageMs),
    attestMs: random.pick(ranges.attestMs),
    cleanUpMs: random.pick(ranges.cleanUpMs),
    lookMs: random.pick(ranges.lookMs),
    drop: line ? random.pick([0.02, 0.1, 0.3]) : 0,
    duplicate: line ? random.pick([0.02, 0.2]) : 0,
    reorder: line ? random.pick([0.02, 0.2]) : 0,
    delay: line ? random.pick([0.02, 0.1]) : 0,
    delayMs: [100, 8000],
    stageFails: hosts ? random.pick([0, 0.1, 0.4]) : 0,
    swapFails: hosts ? random.pick([0, 0.1, 0.3]) : 0,
    reloadFails: hosts ? random.pick([0, 0.1, 0.3]) : 0,
    preflightFails: hosts ? random.pick([0, 0.1, 0.3]) : 0,
    beforeFails: hosts ? random.pick([0, 0, 0.2]) : 0,
    gateFails: hosts ? random.pick([0, 0.1, 0.3]) : 0,
    onceFails: random.pick([0, 0, 0.3]),
    onceHangs: random.pick([0, 0.1, 0.4]),
    onceMs: random.pick(ranges.onceMs),
    swapCrash: hosts ? random.pick([0, 0.1, 0.3]) : 0,
    journalFails: disks ? random.pick([0, 0.02]) : 0,
    journalCrash: disks ? random.pick([0.01, 0.05]) : 0,
    journalMs: random.pick(disks ? ranges.slowMs : usual),
    storeFails: disks ? random.pick([0, 0.03]) : 0,
    storeCrash: disks ? random.pick([0.01, 0.05]) : 0,
    onceSaveCrash: random.pick([0, 0, 0.1]),
    storeMs: random.pick(disks ? ranges.slowMs : usual),
  }
}
