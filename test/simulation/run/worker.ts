// One thread of the simulator: plants a mutant first if it is told to, then loads the program and
// runs schedules or a scenario. What a process of the world throws and nobody catches fails it.

import { parentPort, workerData } from 'node:worker_threads'
import { plant } from '../mutants/mutant.ts'
import type { Outcome, Task } from './task.ts'

const { task, mutant } = workerData as Task
if (mutant !== null) plant(mutant)
const { runTask } = await import('./run-task.ts')
const outcome: Outcome = await runTask(task)
parentPort?.postMessage(outcome)
