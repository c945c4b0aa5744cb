// One thread of the simulator: runs one task after the other, each that names a mutant on a program of
// its own. What a process of the world throws and nobody catches fails that task.

import { parentPort, workerData } from 'node:worker_threads'
import { plant } from '../mutants/mutant.ts'
import type * as RunTask from './run-task.ts'
import type { Outcome, Task } from './task.ts'

const entry = new URL('./run-task.ts', import.meta.url)
const outcomes: Outcome[] = []
for (const { task, mutant } of workerData as readonly Task[]) {
  const planted = mutant === null ? null : plant(mutant, entry)
  outcomes.push(await outcomeOf(task, planted?.address ?? entry.href))
  planted?.uproot()
}
parentPort?.postMessage(outcomes)

/** A program that does not load is nobody's catch, and no end of the others. */
async function outcomeOf(task: Task['task'], address: string): Promise<Outcome> {
  try {
    const program = (await import(address)) as typeof RunTask
    return await program.runTask(task)
  } catch (error) {
    const failures = [{ replay: address, failure: `Not to be run: ${String(error)}` }]
    return { ran: 0, counts: {}, hashes: [], failures }
  }
}
