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
  const program = (await import(planted?.address ?? entry.href)) as typeof RunTask
  outcomes.push(await program.runTask(task))
  planted?.uproot()
}
parentPort?.postMessage(outcomes)
