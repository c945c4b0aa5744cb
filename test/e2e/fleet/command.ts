// The operator's command as a process, against the controller of a fleet. It reaches the controller
// through a wire of its own, so that its address stays when the controller is another.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { Fleet, Scope } from './fleet.ts'
import { Relay } from './relay.ts'

const lockstep = join(import.meta.dirname, '../../../bin/lockstep')

export interface CommandEnd {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export class Operator {
  readonly #t: Scope
  readonly #fleet: Fleet
  readonly #relay: Relay

  private constructor(t: Scope, fleet: Fleet, relay: Relay) {
    this.#t = t
    this.#fleet = fleet
    this.#relay = relay
  }

  static async sit(t: Scope, fleet: Fleet): Promise<Operator> {
    const relay = await Relay.open(() => fleet.port)
    t.teardown(() => relay.close())
    return new Operator(t, fleet, relay)
  }

  /** Runs the command to its end. */
  type(...words: string[]): Promise<CommandEnd> {
    return this.start(words).end
  }

  /** @param env more of the environment than where the controller is */
  start(words: readonly string[], env: Record<string, string> = {}): RunningCommand {
    const command = new RunningCommand(words, {
      LOCKSTEP_URL: this.#relay.url,
      LOCKSTEP_TOKEN: this.#fleet.token,
      ...env,
    })
    this.#t.teardown(() => command.kill())
    return command
  }
}

export class RunningCommand {
  readonly end: Promise<CommandEnd>
  readonly #child
  readonly #texts = { out: '', err: '' }
  readonly #listeners = new Set<() => void>()

  constructor(words: readonly string[], env: Record<string, string>) {
    this.#child = spawn('env', ['-u', 'NODE_OPTIONS', lockstep, ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    })
    this.#read(this.#child.stdout, 'out')
    this.#read(this.#child.stderr, 'err')
    this.end = once(this.#child, 'close').then(([code]) => {
      for (const listener of this.#listeners) listener()
      return { code: code as number | null, ...this.#texts }
    })
  }

  /** Resolves once that was printed; or at the end, which then shows what was. */
  async printed(words: RegExp): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const look = () => {
      if (words.test(this.#texts.out) || this.#child.exitCode !== null) resolve()
    }
    this.#listeners.add(look)
    look()
    await promise
    this.#listeners.delete(look)
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.end
  }

  #read(stream: Readable, to: 'out' | 'err'): void {
    stream.setEncoding('utf8').on('data', (text: string) => {
      this.#texts[to] += text
      for (const listener of this.#listeners) listener()
    })
  }
}
