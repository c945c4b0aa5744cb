// One process of Lockstep, started as an operator starts it, heard by the lines of its log and ended
// by its id. A wait for a line ends with the process at the latest.

import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'

const program = join(import.meta.dirname, '../../../bin/lockstep.ts')

/**
 * What becomes the process itself. tap puts a hook for coverage into every child, which would double
 * the time that one starts in: env(1) takes it out again. setpriv(1), where there is one, has the
 * kernel kill the process when the test is gone, even if that was killed.
 */
const leash = existsSync('/usr/bin/setpriv') ? ['setpriv', '--pdeathsig', 'KILL'] : []
const wrapping = ['-u', 'NODE_OPTIONS', ...leash]

/** Only a ceiling for what never comes: no test measures against it. */
export const patienceMs = 120_000

/** A line of the log as pino writes it. */
export interface LogLine {
  readonly level: number
  readonly msg: string
  readonly [field: string]: unknown
}

export interface DaemonEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface DaemonOptions {
  readonly nodeOptions?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Called after every line and at the end. */
  readonly onNews?: () => void
}

export class Daemon {
  readonly name: string
  readonly lines: LogLine[] = []
  /** When the process is gone and its whole log was read. */
  readonly ended: Promise<DaemonEnd>
  readonly #child: ChildProcess
  readonly #onNews: () => void
  readonly #listeners = new Set<() => void>()
  #others: string[] = []
  #isOver = false

  private constructor(name: string, child: ChildProcess, onNews: () => void) {
    this.name = name
    this.#child = child
    this.#onNews = onNews
    this.#read(child.stdout)
    this.#read(child.stderr)
    const { promise, resolve } = Promise.withResolvers<DaemonEnd>()
    this.ended = promise
    child.once('close', (code, signal) => {
      this.#isOver = true
      resolve({ code, signal })
      this.#tell()
    })
  }

  /** @param args the words after `lockstep` */
  static start(name: string, args: readonly string[], options: DaemonOptions = {}): Daemon {
    const node = [process.execPath, ...(options.nodeOptions ?? []), program, ...args]
    const child = spawn('env', [...wrapping, ...node], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...plainEnvironment(), ...options.env },
    })
    return new Daemon(name, child, options.onNews ?? (() => undefined))
  }

  get pid(): number {
    const { pid } = this.#child
    if (pid === undefined) throw new Error(`${this.name} was not started`)
    return pid
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /**
   * The first line from `from` on that fits, written already or still to come.
   * @throws when the process ends without it, or does not say it for very long
   */
  async logged(isIt: (line: LogLine) => boolean, from = 0): Promise<LogLine> {
    const { promise, resolve, reject } = Promise.withResolvers<LogLine>()
    const inVain = (why: string) => reject(new Error(`${this.name} ${why}:\n${this.tail()}`))
    const look = () => {
      const found = this.lines.slice(from).find(isIt)
      if (found !== undefined) resolve(found)
      else if (this.#isOver) inVain('ended without that line')
    }
    const timer = setTimeout(() => inVain('does not say that line'), patienceMs)
    this.#listeners.add(look)
    look()
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      this.#listeners.delete(look)
    }
  }

  /** Sends a signal, to this one process; harmless when it is gone. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** `kill -9`; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.signal('SIGKILL')
    await this.ended
  }

  /** Asks it to stop, as systemd does. */
  async stop(): Promise<DaemonEnd> {
    this.signal('SIGTERM')
    return this.ended
  }

  /** The most memory that the process has had resident, bytes (proc(5), VmHWM). */
  peakMemoryBytes(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8')
    const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]
    if (kibibytes === undefined) throw new Error('no VmHWM in /proc')
    return Number(kibibytes) * 1024
  }

  /** The last of what it wrote, for messages. */
  tail(count = 12): string {
    const lines = [...this.lines.map((line) => JSON.stringify(line)), ...this.#others]
    return lines.slice(-count).join('\n')
  }

  #read(stream: Readable | null): void {
    let rest = ''
    stream?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) this.#hear(line)
      this.#tell()
    })
  }

  /** What is no line of the log is kept too: it is what a crash leaves. */
  #hear(line: string): void {
    if (line.startsWith('{')) this.lines.push(JSON.parse(line) as LogLine)
    else if (line !== '') this.#others.push(line)
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
    this.#onNews()
  }
}

/** Nothing of the machine's own Lockstep or service manager. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const strange = /^(?:LOCKSTEP_|NOTIFY_SOCKET$|JOURNAL_STREAM$)/
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !strange.test(name)))
}
