// Looks at every process of the machine again and again: what its command line, its title and, where it
// is a hook's, its environment hold. Decides nothing.

import { readdirSync, readFileSync } from 'node:fs'
import { systemCodeOf } from '#shared/errors.ts'

/** The mark by which the agent knows what came of a hook. */
const hookMark = '\0LOCKSTEP_RUN='

export class ProcessSampler {
  /** What was seen, each once: command lines, titles, and environments of hooks' processes. */
  readonly commandLines = new Set<string>()
  readonly titles = new Set<string>()
  readonly hookEnvironments = new Set<string>()
  looks = 0
  readonly #timer: NodeJS.Timeout

  /** @param everyMs short against the life of whatever is to be seen */
  constructor(everyMs = 10) {
    this.#timer = setInterval(() => this.#look(), everyMs)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #look(): void {
    this.looks += 1
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      if (pid === String(process.pid)) continue
      this.commandLines.add(read(pid, 'cmdline'))
      this.titles.add(read(pid, 'comm'))
      const environment = read(pid, 'environ')
      if (`\0${environment}`.includes(hookMark)) this.hookEnvironments.add(environment)
    }
  }
}

/** Empty for a process that is gone, or somebody else's. */
function read(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1')
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error
    return ''
  }
}
