// The program that the hosts of a fleet declare as their once run: it says on one pipe that it began
// and ended, and waits on another until the test lets it end. So every window of a run can be hit.

import { spawnSync } from 'node:child_process'
import { closeSync, constants, openSync, writeFileSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { systemCodeOf } from '#shared/errors.ts'
import type { Scope } from './fleet.ts'

export interface RunLine {
  readonly word: 'started' | 'ended'
  readonly version: string
  readonly pid: number
}

/** Builtins of the shell only: nothing of it lives on when the shell is killed. */
const script = `
echo "started $LOCKSTEP_VERSION $$" > "$1"
read word < "$2"
echo "ended $LOCKSTEP_VERSION $$" > "$1"
[ "$word" = well ] || exit 3
`

export class OnceScript {
  readonly lines: RunLine[] = []
  /** The line of agent.toml's app section that declares it. */
  readonly settings: string
  readonly #said: Socket
  readonly #go: number
  readonly #listeners = new Set<() => void>()
  #rest = ''

  /** @param directory of the test's own, that exists */
  constructor(t: Scope, directory: string) {
    const said = join(directory, 'once-said')
    const go = join(directory, 'once-go')
    const file = join(directory, 'once.sh')
    spawnSync('mkfifo', [said, go])
    writeFileSync(file, script)
    // Open for both ways: neither end ever waits for the other, and no end is seen.
    const fd = openSync(said, constants.O_RDWR | constants.O_NONBLOCK)
    this.#go = openSync(go, constants.O_RDWR | constants.O_NONBLOCK)
    this.#said = new Socket({ fd, readable: true, writable: false })
    this.#said.setEncoding('utf8').on('data', (text: string) => this.#hear(text))
    this.settings = `once = { run = ["/bin/sh", "${file}", "${said}", "${go}"], timeout = "60s" }`
    t.teardown(async () => {
      this.#said.destroy()
      closeSync(this.#go)
      for (const { word, pid } of this.lines) if (word === 'started') end(pid)
    })
  }

  /** Lets the run that waits, or the next one, end. */
  letEnd(how: 'well' | 'badly'): void {
    writeSync(this.#go, `${how}\n`)
  }

  /** How often it was started for a version. */
  starts(version: string): number {
    return this.lines.filter((line) => line.word === 'started' && line.version === version).length
  }

  /** Calls once, as soon as the version's run says this. */
  when(word: RunLine['word'], version: string, act: () => void): void {
    const look = () => {
      if (!this.lines.some((line) => line.word === word && line.version === version)) return
      this.#listeners.delete(look)
      act()
    }
    this.#listeners.add(look)
    look()
  }

  said(word: RunLine['word'], version: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.when(word, version, resolve)
    return promise
  }

  #hear(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) {
      const [word, version = '', pid] = line.split(' ')
      if (word === 'started' || word === 'ended')
        this.lines.push({ word, version, pid: Number(pid) })
    }
    for (const listener of this.#listeners) listener()
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if (systemCodeOf(error) !== 'ESRCH') throw error
  }
}
