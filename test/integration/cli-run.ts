// Runs the command inside the test: its lines can be awaited, its clock is the test's, Ctrl-C is a call.

import { PassThrough, Writable } from 'node:stream'
import { styleText } from 'node:util'
import { runCommandLine } from '#cli/command-line.ts'
import { Terminal } from '#cli/output/terminal.ts'
import type { Paint } from '#cli/output/text.ts'
import type { Services } from '#cli/services.ts'
import { type Clock, Interruption } from '#cli/surroundings.ts'
import type { ExamineHost } from '#shared/finding.ts'
import type { HostApps } from '#shared/host-apps.ts'
import { startedAt } from './cli-views.ts'

process.env['TZ'] = 'UTC'

/** Short pauses pass by themselves; longer ones when the test says so. */
export class TestClock implements Clock {
  readonly #waiting = new Set<{ at: number; wake: () => void }>()
  readonly #asleep = new Set<() => void>()
  #now = startedAt

  now(): number {
    return this.#now
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return
    await new Promise<void>((resolve) => {
      const sleeper = { at: this.#now + ms, wake: resolve }
      if (ms <= 100) {
        setImmediate(resolve)
        return
      }
      this.#waiting.add(sleeper)
      signal?.addEventListener('abort', () => {
        this.#waiting.delete(sleeper)
        resolve()
      })
      for (const wake of this.#asleep) wake()
      this.#asleep.clear()
    })
  }

  /** Lets time pass, and wakes who has slept enough. */
  advance(ms: number): void {
    this.#now += ms
    for (const sleeper of this.#waiting) {
      if (sleeper.at > this.#now) continue
      this.#waiting.delete(sleeper)
      sleeper.wake()
    }
  }

  /** Resolves once so many wait for the time to pass: whoever looks, and whoever listens again. */
  async slept(sleepers = 1): Promise<void> {
    while (this.#waiting.size < sleepers) {
      await new Promise<void>((resolve) => this.#asleep.add(resolve))
    }
  }
}

/** Sleeps pass at once and count as time: for what waits for nobody but the clock. */
export class HastyClock implements Clock {
  #now = startedAt

  now(): number {
    return this.#now
  }

  async sleep(ms: number): Promise<void> {
    this.#now += ms
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
}

export class Lines extends Writable {
  text = ''
  readonly #waiting = new Set<() => void>()

  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    this.text += chunk.toString('utf8')
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
    callback()
  }

  get lines(): string[] {
    return this.text.split('\n').slice(0, -1)
  }

  /** The first line that fits, as soon as there is one. */
  async line(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = this.lines.find((line) => pattern.test(line))
      if (found !== undefined) return found
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }
}

export interface Run {
  readonly out: Lines
  readonly err: Lines
  readonly stdin: PassThrough
  readonly exitCode: Promise<number>
  interrupt(): void
}

export interface RunOptions {
  readonly examineHost?: ExamineHost
  readonly url?: string
  readonly env?: Record<string, string>
  readonly clock?: Clock
  readonly services?: Partial<Services>
  readonly hostApps?: HostApps
  /** Whether notes can be drawn over. */
  readonly canRedraw?: boolean
  /** Whether text has its styles, as on a terminal. */
  readonly isStyled?: boolean
}

export function run(argv: readonly string[], options: RunOptions = {}): Run {
  const out = new Lines()
  const err = new Lines()
  const stdin = new PassThrough()
  const aborter = new AbortController()
  const env = {
    ...(options.url === undefined ? {} : { LOCKSTEP_URL: options.url }),
    LOCKSTEP_TOKEN: 'test-token',
    ...options.env,
  }
  const plain = (_style: string, text: string) => text
  const styled: Paint = (style, text) => styleText(style, text, { validateStream: false })
  const paint = options.isStyled === true ? styled : plain
  const unavailable = () => Promise.reject(new Error('not in this test'))
  const exitCode = runCommandLine(argv, {
    env,
    terminal: new Terminal({
      out,
      err,
      paintOut: paint,
      paintErr: paint,
      canRedraw: options.canRedraw ?? false,
    }),
    clock: options.clock ?? new TestClock(),
    random: () => 0.5,
    newKey: () => 'key-1',
    stdin,
    version: '1.2.3',
    catchInterruptions: () => ({ signal: aborter.signal, stop: () => undefined }),
    openHostApps: async () => options.hostApps ?? unavailable(),
    examineHost: options.examineHost ?? unavailable,
    services: {
      installAgent: unavailable,
      installController: unavailable,
      uninstallAgent: unavailable,
      uninstallController: unavailable,
      ...options.services,
    },
  })
  return { out, err, stdin, exitCode, interrupt: () => aborter.abort(new Interruption('SIGINT')) }
}

/** Runs to the end. */
export async function ran(
  argv: readonly string[],
  options: RunOptions = {},
): Promise<{ exitCode: number; out: string; err: string }> {
  const started = run(argv, options)
  const exitCode = await started.exitCode
  return { exitCode, out: started.out.text, err: started.err.text }
}
