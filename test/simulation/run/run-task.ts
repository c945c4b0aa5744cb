// Runs schedules or a scenario in this thread, one after the other.

import { afterTheBarrier } from '../scenarios/after-the-barrier.ts'
import { fenced } from '../scenarios/fenced.ts'
import { gate } from '../scenarios/gate.ts'
import { once } from '../scenarios/once.ts'
import { requestsAndTime } from '../scenarios/requests-and-time.ts'
import { type Scenario, Script } from '../scenarios/script.ts'
import { waves } from '../scenarios/waves.ts'
import { whoCounts } from '../scenarios/who-counts.ts'
import { runSchedule } from '../schedule.ts'
import type { World } from '../world/world.ts'
import type { Failed, Outcome, Task } from './task.ts'

export const scenarios: readonly Scenario[] = [
  ...afterTheBarrier,
  ...fenced,
  ...gate,
  ...once,
  ...requestsAndTime,
  ...waves,
  ...whoCounts,
]

export async function runTask(task: Task['task']): Promise<Outcome> {
  return task.kind === 'schedules'
    ? runSchedules(task.seeds, task.untilFailure)
    : runScenarios(task.traces)
}

/** What a process of the present world throws and nobody catches is that world's failure. */
function failingWith(world: () => World | null): () => void {
  const fail = (error: unknown) => {
    const present = world()
    if (present === null) throw error
    present.fail(error)
  }
  process.on('unhandledRejection', fail)
  process.on('uncaughtException', fail)
  return () => {
    process.off('unhandledRejection', fail)
    process.off('uncaughtException', fail)
  }
}

export async function runSchedules(
  seeds: readonly number[],
  untilFailure: boolean,
  print: ((line: string) => void) | null = null,
): Promise<Outcome> {
  const counts: Record<string, number> = {}
  const hashes: string[] = []
  const failures: Failed[] = []
  let world: World | null = null
  const stop = failingWith(() => world)
  for (const seed of seeds) {
    const result = await runSchedule(seed, {
      print,
      onWorld: (made) => {
        world = made
      },
    })
    hashes.push(result.hash)
    for (const [what, times] of Object.entries(result.counts)) {
      counts[what] = (counts[what] ?? 0) + times
    }
    const { failure } = result
    if (failure !== null) failures.push({ replay: `--seed ${seed}`, failure })
    if (untilFailure && failures.length > 0) break
  }
  stop()
  return { ran: hashes.length, counts, hashes, failures }
}

export async function runScenarios(
  traces: readonly string[],
  print: ((line: string) => void) | null = null,
): Promise<Outcome> {
  const outcomes: Outcome[] = []
  for (const trace of traces) outcomes.push(await runScenario(trace, print))
  return {
    ran: outcomes.length,
    counts: {},
    hashes: outcomes.flatMap((outcome) => outcome.hashes),
    failures: outcomes.flatMap((outcome) => outcome.failures),
  }
}

async function runScenario(
  trace: string,
  print: ((line: string) => void) | null,
): Promise<Outcome> {
  const scenario = scenarios.find((one) => one.trace === trace)
  if (scenario === undefined) throw new Error(`no scenario is called ${trace}`)
  const script = new Script(print)
  const stop = failingWith(() => script.world)
  const failures: Failed[] = []
  try {
    await scenario.run(script)
  } catch (error) {
    const failure = error instanceof Error ? (error.stack ?? error.message) : String(error)
    failures.push({ replay: `--scenario ${trace}`, failure })
  }
  stop()
  const { counts, trace: lines } = script.world
  return { ran: 1, counts: counts.all, hashes: [lines.hash], failures }
}
