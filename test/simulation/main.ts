// `npm run simulate`: replays one schedule by its seed, runs many, or runs a named scenario.

import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { runScenarios, runSchedules } from './run/run-task.ts'

const usage = `npm run simulate -- [--seed N] [--schedules M] [--scenario T1] [--verbose]

  --seed N        the first seed (default: drawn anew)
  --schedules M   how many, with consecutive seeds (default: 1 with --seed, else 1000)
  --scenario T1   a named scenario instead
  --verbose       print everything that happens`

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    schedules: { type: 'string' },
    scenario: { type: 'string' },
    verbose: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

const print = values.verbose ? (line: string) => process.stdout.write(`${line}\n`) : null

if (values.help) {
  process.stdout.write(`${usage}\n`)
} else if (values.scenario !== undefined) {
  report([values.scenario], await runScenarios([values.scenario], print))
} else {
  const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed)
  const count = Number(values.schedules ?? (values.seed === undefined ? 1000 : 1))
  if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(count)) {
    process.stderr.write(`--seed and --schedules are whole numbers\n\n${usage}\n`)
    process.exitCode = 2
  } else {
    const seeds = Array.from({ length: count }, (_, i) => seed + i)
    report(seeds, await runSchedules(seeds, false, print))
  }
}

function report(
  seeds: readonly (number | string)[],
  outcome: Awaited<ReturnType<typeof runSchedules>>,
): void {
  const { counts, failures, ran, hashes } = outcome
  for (const [what, times] of Object.entries(counts).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    process.stdout.write(`${String(times).padStart(9)} ${what}\n`)
  }
  for (const { replay, failure } of failures) {
    process.stdout.write(`\nnpm run simulate -- ${replay}\n${failure}\n`)
  }
  const last = hashes.at(-1) ?? ''
  process.stdout.write(
    `\n${ran} ran from ${seeds[0]}, ${failures.length} failed; last trace ${last}\n`,
  )
  process.exitCode = failures.length === 0 ? 0 : 1
}
