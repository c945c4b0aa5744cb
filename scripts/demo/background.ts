// A process that runs beside the demo: its output goes into a file, its log lines can be waited for,
// and it ends with the demo at the latest.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync } from 'node:fs'

type LogLine = Readonly<Record<string, unknown>>

export class Background {
  readonly #name: string
  readonly #logFile: string
  readonly #child: ChildProcess
  readonly #lines: LogLine[] = []
  readonly #ended: Promise<void>
  #isOver = false
  #wake: () => void = () => undefined

  /** @param command program and arguments */
  constructor(name: string, command: readonly [string, ...string[]], logFile: string) {
    const [program, ...args] = command
    this.#name = name
    this.#logFile = logFile
    this.#child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#ended = once(this.#child, 'close').then(() => {
      this.#isOver = true
      this.#wake()
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      let rest = ''
      stream?.setEncoding('utf8').on('data', (text: string) => {
        appendFileSync(logFile, text)
        const lines = (rest + text).split('\n')
        rest = lines.pop() ?? ''
        this.#lines.push(...lines.filter((line) => line.startsWith('{')).map(parsed))
        this.#wake()
      })
    }
  }

  /** The first log line with this `msg`, written already or still to come. */
  async said(msg: string): Promise<LogLine> {
    for (;;) {
      const line = this.#lines.find((one) => one['msg'] === msg)
      if (line !== undefined) return line
      if (this.#isOver) throw new Error(`${this.#name} has ended; ${this.#logFile} says why`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async stop(): Promise<void> {
    this.kill('SIGTERM')
    await this.#ended
  }
}

function parsed(line: string): LogLine {
  return JSON.parse(line) as LogLine
}
