// Runs one program of a build to its end, as a process group of its own: every line that it writes is
// handed on, and when it is stopped, or leaves something running, the whole group goes.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import { StringDecoder } from 'node:string_decoder'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import type { Environment } from '../connection.ts'

export interface Program {
  readonly argv: readonly string[]
  readonly directory: string
  readonly env: Environment
  /** Aborted: the program is stopped, and the run rejects with the signal's reason. */
  readonly signal: AbortSignal
  readonly onLine?: (line: string) => void
}

export interface ProgramEnd {
  /** 127 where there is no such program, as a shell says it; 128 + the number of a fatal signal. */
  readonly exitCode: number
  /** The first lines of standard output: enough for what git is asked. */
  readonly output: readonly string[]
  /** The last lines of both outputs, as they came. */
  readonly lastLines: readonly string[]
}

const outputLinesKept = 1000

/** Modes of new files are part of a release, so they must not depend on who builds: umask(2). */
const withUmask = ['/bin/sh', '-c', 'umask 022; exec "$@"', 'sh']

/** @throws the signal's reason when it is aborted, after the program and all it started have gone */
export async function runProgram(program: Program): Promise<ProgramEnd> {
  program.signal.throwIfAborted()
  const [file = '', ...args] = [...withUmask, ...program.argv]
  const child = spawn(file, args, {
    cwd: program.directory,
    env: program.env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const output: string[] = []
  const lastLines: string[] = []
  const take = (line: string) => {
    lastLines.push(line)
    if (lastLines.length > limits.buildLinesShown) lastLines.shift()
    program.onLine?.(line)
  }
  const outputs = [
    readLines(child.stdout, (line) => {
      if (output.length < outputLinesKept) output.push(line)
      take(line)
    }),
    readLines(child.stderr, take),
  ]
  const stop = () => void stopGroup(child)
  program.signal.addEventListener('abort', stop, { once: true })
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
    // What it left behind could still write below the directory that is packed next.
    signalGroup(child, 'SIGKILL')
    await endOf(outputs, child)
    program.signal.throwIfAborted()
    return { exitCode: code ?? exitCodeOf(signal), output, lastLines }
  } finally {
    program.signal.removeEventListener('abort', stop)
  }
}

async function stopGroup(child: ChildProcess): Promise<void> {
  signalGroup(child, 'SIGTERM')
  // Ends early with the program: what is left then is killed by who waits for it.
  const ended = new AbortController()
  child.once('exit', () => ended.abort())
  try {
    await sleep(limits.buildKillGraceMs, undefined, { signal: ended.signal })
  } catch (error) {
    if (!ended.signal.aborted) throw error
    return
  }
  signalGroup(child, 'SIGKILL')
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch (error) {
    // Nothing of it lives any more; macOS says EPERM of what is dead but not waited for.
    if (!['ESRCH', 'EPERM'].includes(systemCodeOf(error) ?? '')) throw error
  }
}

/** A process that left the group may hold the output open for good: it is not waited for. */
async function endOf(outputs: readonly Promise<void>[], child: ChildProcess): Promise<void> {
  const waited = new AbortController()
  const patience = sleep(limits.drainMs, undefined, { signal: waited.signal }).catch(() => {})
  await Promise.race([Promise.all(outputs), patience])
  waited.abort()
  child.stdout?.destroy()
  child.stderr?.destroy()
}

/** Lines end with LF, or with CR where something is drawn over. */
async function readLines(
  stream: NodeJS.ReadableStream | null,
  onLine: (line: string) => void,
): Promise<void> {
  if (stream === null) return
  const decoder = new StringDecoder('utf8')
  let rest = ''
  stream.on('data', (chunk: Buffer) => {
    const lines = (rest + decoder.write(chunk)).split(/\r?\n|\r(?!$)/)
    rest = lines.pop() ?? ''
    for (const line of lines) onLine(line.slice(0, limits.buildLineCharsMax))
    for (; rest.length > limits.buildLineCharsMax; rest = rest.slice(limits.buildLineCharsMax)) {
      onLine(rest.slice(0, limits.buildLineCharsMax))
    }
  })
  await new Promise<void>((resolve) => stream.once('close', resolve))
  const last = rest + decoder.end()
  if (last.trim() !== '') onLine(last.replace(/\r$/, ''))
}

function exitCodeOf(signal: NodeJS.Signals | null): number {
  return 128 + (signal === null ? 0 : constants.signals[signal])
}
