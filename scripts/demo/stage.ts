// Where the demo plays: a directory of its own, the processes that it started, and the command run
// as a person would. Stops what it started, however it ends.

import { type ChildProcess, execFile, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

export const lockstep = fileURLToPath(new URL('../../bin/lockstep', import.meta.url))

export class Stage {
  readonly directory: string
  readonly #children: ChildProcess[] = []
  readonly #interrupted = Promise.withResolvers<void>()
  #isInterrupted = false

  private constructor(directory: string) {
    this.directory = directory
  }

  static async open(): Promise<Stage> {
    return new Stage(await mkdtemp(join(tmpdir(), 'lockstep-demo-')))
  }

  get isInterrupted(): boolean {
    return this.#isInterrupted
  }

  /** Resolves when somebody has had enough. */
  interrupted(): Promise<void> {
    return this.#interrupted.promise
  }

  /** Ends everything that runs and lets nothing start any more; `close` still has to be called. */
  interrupt(): void {
    this.#isInterrupted = true
    for (const child of this.#children) child.kill('SIGTERM')
    this.#interrupted.resolve()
  }

  path(...names: string[]): string {
    return join(this.directory, ...names)
  }

  /** Starts a daemon; resolves with its first log line that has this message. */
  async daemon(
    args: readonly string[],
    message: string,
  ): Promise<Readonly<Record<string, unknown>>> {
    const child = spawn(lockstep, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#take(child)
    const said: string[] = []
    for await (const line of createInterface({ input: child.stdout })) {
      said.push(line)
      const record: Record<string, unknown> = JSON.parse(line)
      if (record['msg'] !== message) continue
      child.stdout.resume()
      return record
    }
    throw new Error(`lockstep ${args[0]} ended:\n${said.join('\n')}`)
  }

  /** Starts a script of the demo that talks by messages. */
  script(name: string, args: readonly string[]): ChildProcess {
    const child = fork(new URL(name, import.meta.url), args, { stdio: 'inherit' })
    this.#take(child)
    return child
  }

  /** Runs the command and gives what it wrote to standard output. */
  async command(args: readonly string[], env: Record<string, string>): Promise<string> {
    const { stdout } = await promisify(execFile)(lockstep, args, {
      env: { ...process.env, ...env },
    })
    return stdout.trim()
  }

  /** Runs the command with its output before the viewer's eyes; gives its exit code. */
  async shown(args: readonly string[], env: Record<string, string>): Promise<number> {
    console.log(`\n$ lockstep ${args.join(' ')}`)
    const child = spawn(lockstep, args, { stdio: 'inherit', env: { ...process.env, ...env } })
    this.#take(child)
    const [code] = (await once(child, 'exit')) as [number | null]
    return code ?? 1
  }

  #take(child: ChildProcess): void {
    this.#children.push(child)
    if (this.#isInterrupted) child.kill('SIGTERM')
  }

  async close(): Promise<void> {
    const running = this.#children.filter(
      (child) => child.exitCode === null && child.signalCode === null,
    )
    const ends = running.map((child) => once(child, 'exit'))
    for (const child of running) child.kill('SIGTERM')
    await Promise.all(ends)
    await rm(this.directory, { recursive: true, force: true })
  }
}
