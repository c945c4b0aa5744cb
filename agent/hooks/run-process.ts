// Runs one program to its end: in a process group of its own, killed as a tree when its time is over
// or nobody wants it any more. Waits for its exit and not for the end of its output, which a child
// of it may hold open for ever. Knows neither hooks nor releases.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import type { Clock } from '#shared/clock.ts'
import { systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { ControlGroup } from './control-group.ts'
import type { OutputStream } from './output-lines.ts'
import { markName, pause, ProcessTree, type TreeEnd } from './process-tree.ts'

export interface ProcessRequest {
  readonly file: string
  readonly args: readonly string[]
  readonly directory: string
  readonly environment: Readonly<Record<string, string>>
  /** No other run has it: everything that comes of this one is found by it. */
  readonly mark: string
  readonly timeoutMs: number
  /** Ends the run with everything that came of it. */
  readonly signal?: AbortSignal | undefined
  /** Lets it go on when this process ends: it is neither killed nor waited for any more. */
  readonly leaveTo?: AbortSignal | undefined
  /** Below which the run gets a control group; null: none. */
  readonly controlGroupParent: string | null
  readonly clock: Clock
  /** @returns `enough` when more of it will be thrown away */
  readonly onOutput: (stream: OutputStream, bytes: Uint8Array) => 'more' | 'enough'
}

export type ProcessEnd = {
  readonly outcome:
    | { readonly kind: 'exited'; readonly code: number }
    | { readonly kind: 'signalled'; readonly signal: string }
    | { readonly kind: 'timed-out' }
    | { readonly kind: 'aborted' }
    | { readonly kind: 'unstartable'; readonly reason: string }
} & TreeEnd

type Outcome = ProcessEnd['outcome']

/** Never rejects for what the program does. What it left running is killed at its end. */
export async function runProcess(request: ProcessRequest): Promise<ProcessEnd> {
  const { signal, mark, clock } = request
  if (signal?.aborted === true) return { outcome: { kind: 'aborted' }, killed: 0, stuck: 0 }
  const controlGroup = ControlGroup.create(request.controlGroupParent, mark)
  const started = await start(request, controlGroup)
  if ('reason' in started) {
    controlGroup?.remove()
    return { outcome: { kind: 'unstartable', reason: started.reason }, killed: 0, stuck: 0 }
  }
  const { child, pid, exited } = started
  readOutput(child, request)
  const stopped = stopOf(request, child)
  const outcome = await Promise.race([exited, stopped.promise])
  stopped.cancel()
  // Its own process counts as killed when it did not end by itself.
  const tree = new ProcessTree((found) => found === mark, pid, controlGroup)
  const { killed, stuck } = await tree.end(clock)
  await drain(child, clock)
  controlGroup?.remove()
  return { outcome, killed, stuck }
}

interface Started {
  readonly child: ChildProcess
  readonly pid: number
  readonly exited: Promise<Outcome>
}

async function start(
  request: ProcessRequest,
  controlGroup: ControlGroup | null,
): Promise<Started | { reason: string }> {
  const { directory, environment, mark } = request
  const { file, args } = controlGroup?.entering(request.file, request.args) ?? request
  try {
    const child = spawn(file, [...args], {
      cwd: directory,
      env: { ...environment, [markName]: mark },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const { promise: exited, resolve } = Promise.withResolvers<Outcome>()
    child.once('exit', (code, signal) =>
      resolve(
        code === null
          ? { kind: 'signalled', signal: signal ?? 'an unknown signal' }
          : { kind: 'exited', code },
      ),
    )
    // What is refused later, a signal to what has gone, changes nothing.
    child.on('error', () => undefined)
    await once(child, 'spawn')
    return { child, pid: child.pid ?? 0, exited }
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    return { reason: code }
  }
}

/** Reads on when there is enough of it, so that the program does not stand still, but slowly. */
function readOutput(child: ChildProcess, { clock, onOutput }: ProcessRequest): void {
  const read = (stream: OutputStream, readable: Readable | null): void => {
    readable?.on('data', (bytes: Uint8Array) => {
      if (onOutput(stream, bytes) === 'more') return
      readable.pause()
      clock.timer(clock.now() + limits.hookDiscardPauseMs, () => readable.resume())
    })
    // A pipe that breaks has nothing more to say.
    readable?.on('error', () => undefined)
  }
  read('out', child.stdout)
  read('err', child.stderr)
}

function stopOf(request: ProcessRequest, child: ChildProcess) {
  const { clock, timeoutMs, signal, leaveTo } = request
  const { promise, resolve } = Promise.withResolvers<Outcome>()
  const cancelTimer = clock.timer(clock.now() + timeoutMs, () => resolve({ kind: 'timed-out' }))
  const abort = (): void => resolve({ kind: 'aborted' })
  const leave = (): void => {
    cancelTimer()
    child.unref()
    for (const pipe of [child.stdout, child.stderr]) {
      if (pipe !== null && 'unref' in pipe && typeof pipe.unref === 'function') pipe.unref()
    }
  }
  signal?.addEventListener('abort', abort, { once: true })
  // It may have been aborted while the start was awaited.
  if (signal?.aborted === true) abort()
  leaveTo?.addEventListener('abort', leave, { once: true })
  if (leaveTo?.aborted === true) leave()
  const cancel = (): void => {
    cancelTimer()
    signal?.removeEventListener('abort', abort)
    leaveTo?.removeEventListener('abort', leave)
  }
  return { promise, cancel }
}

/** What was written before the end is in the pipe; whoever still holds it is waited for no longer. */
async function drain(child: ChildProcess, clock: Clock): Promise<void> {
  const pipes = [child.stdout, child.stderr].filter((pipe) => pipe !== null)
  const open = pipes.filter((pipe) => !pipe.readableEnded && !pipe.destroyed)
  const ended = Promise.all(open.map((pipe) => once(pipe, 'close')))
  await Promise.race([ended, pause(clock, limits.hookDrainMs)])
  for (const pipe of pipes) pipe.destroy()
}
