// Runs schedules or a scenario in this thread, one after the other.

import { afterTheBarrier } from '../scenarios/after-the-barrier.ts'
import { fenced } from '../scenarios/fenced.ts'
import { requestsAndTime } from '../scenarios/requests-and-time.ts'
import { type Scenario, Script } from '../scenarios/script.ts'
import { runSchedule } from '../schedule.ts'
import type { World } from '../world/world.ts'
import type { Outcome, Task } from './task.ts'

export const scenarios: readonly Scenario[] = [...afterTheBarrier, ...fenced, ...requestsAndTime]

export async function runTask(task: Task['task']): Promise<Outcome> {
  return task.kind === 'schedules'
    ? runSchedules(task.seeds, task.untilFailure)
    : runScenario(task.trace, null)
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
  const failures: { seed: number; failure: string }[] = []
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
    if (result.failure !== null) failures.push({ seed, failure: result.failure })
    if (untilFailure && failures.length > 0) break
  }
  stop()
  return { ran: hashes.length, counts, hashes, failures }
}

export async function runScenario(
  trace: string,
  print: ((line: string) => void) | null,
): Promise<Outcome> {
  const scenario = scenarios.find((one) => one.trace === trace)
  if (scenario === undefined) throw new Error(`no scenario is called ${trace}`)
  const script = new Script(print)
  const stop = failingWith(() => script.world)
  const failures: { seed: number; failure: string }[] = []
  try {
    await scenario.run(script)
  } catch (error) {
    const failure = error instanceof Error ? (error.stack ?? error.message) : String(error)
    failures.push({ seed: 1, failure })
  }
  stop()
  const { counts, trace: lines } = script.world
  return { ran: 1, counts: counts.all, hashes: [lines.hash], failures }
}
