// Asks one command of this host for its version: by a fixed command line, in a process group of its
// own, for a bounded time and with bounded output. Runs nothing that a message or a release names.

import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { access, realpath, stat } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import type { CommandFact } from '#shared/fit.ts'
import { systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import type { CommandsConfig } from '../config-commands.ts'
import { anyVersion, knownCommands } from './known-commands.ts'

export interface CommandSurroundings {
  /** The directories in which commands are looked for, as in PATH. */
  readonly path: string
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/**
 * The owner's own command line first, then the built-in one.
 * @throws the signal's reason
 */
export async function versionOfCommand(
  name: string,
  own: CommandsConfig,
  surroundings: CommandSurroundings,
): Promise<CommandFact> {
  surroundings.signal.throwIfAborted()
  const argv = Object.hasOwn(own, name) ? own[name] : undefined
  const known = knownCommands.get(name)
  if (argv === undefined && known === undefined) return { kind: 'unknown' }
  const [program = '', ...ownArgs] = argv ?? []
  const programs = argv === undefined ? (known?.programs ?? []) : [program]
  const found = await existing(programs, surroundings.path)
  const [first, second] = found
  if (first === undefined) return { kind: 'missing' }
  if (second !== undefined) {
    return { kind: 'silent', why: `is there more than once (${found.join(', ')})` }
  }
  const args = argv === undefined ? (known?.args ?? []) : ownArgs
  const answer = await ask([first, ...args], surroundings)
  if (answer.why !== null) return { kind: 'silent', why: answer.why }
  const pattern = argv === undefined ? known?.pattern : anyVersion
  const version = pattern?.exec(answer.text)?.[1]
  if (version !== undefined) return { kind: 'found', version }
  const [line = ''] = answer.text.trim().split('\n')
  return { kind: 'silent', why: `answered no version but ${JSON.stringify(line.slice(0, 80))}` }
}

/** Absolute paths of the programs that are there; one that is linked to twice counts once. */
async function existing(programs: readonly string[], path: string): Promise<string[]> {
  const found = new Map<string, string>()
  for (const program of programs) {
    const at = await resolved(program, path)
    if (at === null) continue
    const target = await realpath(at)
    if (!found.has(target)) found.set(target, at)
  }
  return [...found.values()]
}

async function resolved(program: string, path: string): Promise<string | null> {
  if (program.startsWith('/')) return (await isExecutable(program)) ? program : null
  for (const directory of path.split(delimiter)) {
    // An empty or relative one would be looked up in whatever directory the agent is in.
    const at = join(directory, program)
    if (directory.startsWith('/') && (await isExecutable(at))) return at
  }
  return null
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return (await stat(path)).isFile()
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error
    return false
  }
}

interface CommandAnswer {
  readonly text: string
  /** What went wrong instead, to be read after the command's name. */
  readonly why: string | null
}

/** Both outputs together; ends with the program, whatever it leaves behind is killed. */
async function ask(
  [program = '', ...args]: readonly string[],
  { path, timeoutMs, signal }: CommandSurroundings,
): Promise<CommandAnswer> {
  const child = spawn(program, args, {
    cwd: '/',
    env: { PATH: path, LC_ALL: 'C', LANG: 'C' },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A process group of its own, so that all of it can be killed.
    detached: true,
  })
  const chunks: Buffer[] = []
  let sizeBytes = 0
  const keep = (chunk: Buffer) => {
    if (sizeBytes < limits.commandVersionBytesMax) chunks.push(chunk)
    sizeBytes += chunk.length
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const ended = Promise.withResolvers<string | null>()
  const stop = () => ended.resolve(null)
  const timer = setTimeout(
    () => ended.resolve(`gave no answer within ${timeoutMs / 1000} s`),
    timeoutMs,
  )
  signal.addEventListener('abort', stop, { once: true })
  child.on('error', (error) => ended.resolve(`could not be started: ${error.message}`))
  child.on('exit', () => {
    // Something that it left behind may hold its output open, and has nothing to say.
    killGroup(child.pid)
    setTimeout(stop, limits.hookDrainMs).unref()
  })
  child.on('close', stop)
  const why = await ended.promise
  clearTimeout(timer)
  signal.removeEventListener('abort', stop)
  if (child.exitCode === null && child.signalCode === null) killGroup(child.pid)
  child.stdout.destroy()
  child.stderr.destroy()
  signal.throwIfAborted()
  const text = Buffer.concat(chunks).toString('utf8').slice(0, limits.commandVersionBytesMax)
  return { text, why }
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    // Nothing of it is left.
    if (systemCodeOf(error) !== 'ESRCH') throw error
  }
}
