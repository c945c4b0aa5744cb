// What a thread of the simulator is asked for and what it answers, and how it is started.

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Mutant } from '../mutants/mutant.ts'

export interface Task {
  readonly task:
    | {
        readonly kind: 'schedules'
        readonly seeds: readonly number[]
        /** Stop at the first failure. */
        readonly untilFailure: boolean
      }
    | { readonly kind: 'scenarios'; readonly traces: readonly string[] }
  readonly mutant: Mutant | null
}

export interface Outcome {
  readonly ran: number
  readonly counts: Readonly<Record<string, number>>
  /** Of every trace, in the order of the seeds. */
  readonly hashes: readonly string[]
  readonly failures: readonly Failed[]
}

export interface Failed {
  /** The arguments of `npm run simulate` that replay it. */
  readonly replay: string
  readonly failure: string
}

/** In a thread of its own, so that a planted mutant stays there. */
export async function runInThread(task: Task): Promise<Outcome> {
  const [outcome] = await runAllInThread([task])
  if (outcome === undefined) throw new Error('the thread has done nothing')
  return outcome
}

/** One after the other in one thread: what is installed is loaded only once. */
export async function runAllInThread(tasks: readonly Task[]): Promise<readonly Outcome[]> {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: tasks })
  const [outcomes] = (await once(worker, 'message')) as [readonly Outcome[]]
  await worker.terminate()
  return outcomes
}
