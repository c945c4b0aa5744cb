// Runs one job in a worker thread of its own, so that its synchronous file operations never hold
// the agent's event loop up. Owns start, progress, cancelling and end; knows no job.

import { once } from 'node:events'
import { parentPort, Worker, workerData } from 'node:worker_threads'
import assert from 'node:assert/strict'
import { isErrorCode, LockstepError, type WireError } from '#shared/errors.ts'

type WorkerMessage<Result, Progress> =
  | { readonly type: 'progress'; readonly progress: Progress }
  | { readonly type: 'done'; readonly result: Result }
  | { readonly type: 'failed'; readonly error: WireError }

export interface WorkerOptions<Progress> {
  /**
   * Ends the job where it stands: the thread is terminated between two system calls, as by a
   * crash, so every job must leave a disk that it can go on from.
   */
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: Progress) => void) | undefined
}

/**
 * A small nursery: a job makes much short-lived garbage and little that stays, and V8's default
 * keeps some 80 MB of the former resident in a process that should stay small.
 */
const resourceLimits = { maxYoungGenerationSizeMb: 4 }

/** What was preloaded into the process for its own ends would be loaded again into every worker. */
const execArgv: string[] = []

/**
 * @param script the module that calls `serveWorker`
 * @param data what it is given; structured-cloneable
 * @throws LockstepError as thrown in the worker; the signal's reason when it was aborted; any other
 *   error of the worker is a fault of the program and comes as it is.
 */
export async function runInWorker<Result, Progress = never>(
  script: URL,
  data: unknown,
  options: WorkerOptions<Progress> = {},
): Promise<Result> {
  options.signal?.throwIfAborted()
  const worker = new Worker(script, { workerData: data, resourceLimits, execArgv })
  const stop = (): void => void worker.terminate()
  options.signal?.addEventListener('abort', stop, { once: true })
  let outcome: WorkerMessage<Result, Progress> | undefined
  worker.on('message', (message: WorkerMessage<Result, Progress>) => {
    if (message.type === 'progress') options.onProgress?.(message.progress)
    else outcome = message
  })
  try {
    await once(worker, 'exit')
  } finally {
    options.signal?.removeEventListener('abort', stop)
  }
  if (outcome?.type === 'done') return outcome.result
  if (outcome?.type === 'failed') throw fromWire(outcome.error)
  options.signal?.throwIfAborted()
  throw new Error(`the worker ${script.pathname} ended without a result`)
}

/** In the worker: runs the job with its data and tells how it ended. */
export async function serveWorker<Data, Result, Progress = never>(
  job: (data: Data, tell: (progress: Progress) => void) => Promise<Result> | Result,
): Promise<void> {
  const port = parentPort
  assert(port !== null, 'serveWorker runs in a worker only')
  const send = (message: WorkerMessage<Result, Progress>): void => port.postMessage(message)
  try {
    const result = await job(workerData as Data, (progress) => send({ type: 'progress', progress }))
    send({ type: 'done', result })
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error
    send({ type: 'failed', error: error.toWire() })
  }
}

function fromWire({ code, message, ...options }: WireError): LockstepError {
  assert(isErrorCode(code))
  return new LockstepError(code, message, options)
}
