// Everything that came of one run: found by its process group, by its control group where it has one,
// and by the mark in its environment, which a child keeps that has made itself a session of its own
// (setsid(2)). What clears its environment and leaves the group is found by the control group only.
// proc(5).

import { readdirSync, readFileSync } from 'node:fs'
import { TimeSlice } from '../adapters/time-slice.ts'
import type { Clock } from '#shared/clock.ts'
import { systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import type { ControlGroup } from './control-group.ts'

/** The variable that every process of a run bears, as one of its own and of no other run. */
export const markName = 'LOCKSTEP_RUN'

export interface TreeEnd {
  /** How many processes were killed. */
  readonly killed: number
  /** How many of them hang in the kernel. */
  readonly stuck: number
}

export class ProcessTree {
  readonly #isOurs: (mark: string) => boolean
  readonly #group: number | null
  readonly #controlGroup: ControlGroup | null

  /** @param group the process group, while it is known to be the run's own */
  constructor(
    isOurs: (mark: string) => boolean,
    group: number | null,
    controlGroup: ControlGroup | null,
  ) {
    this.#isOurs = isOurs
    this.#group = group
    this.#controlGroup = controlGroup
  }

  /** The processes that are alive; one that has ended and that nobody has asked for is not. */
  async members(): Promise<readonly number[]> {
    const found = new Set(this.#controlGroup?.members())
    const slice = new TimeSlice()
    for (const name of readdirSync('/proc')) {
      const pid = Number(name)
      if (!Number.isInteger(pid) || pid === process.pid) continue
      if (slice.isOver) await slice.rest()
      if (this.#isMember(pid)) found.add(pid)
    }
    return [...found]
  }

  /** Kills until nothing is left: what forks meanwhile is found by the next look. */
  async end(clock: Clock): Promise<TreeEnd> {
    const killed = new Set<number>()
    const until = clock.now() + limits.hookKillMs
    for (;;) {
      const members = await this.members()
      if (members.length === 0) return { killed: killed.size, stuck: 0 }
      if (clock.now() > until) return { killed: killed.size, stuck: members.length }
      for (const pid of members) killed.add(pid)
      this.#controlGroup?.kill()
      if (this.#group !== null) kill(-this.#group)
      for (const pid of members) kill(pid)
      await pause(clock, limits.hookSweepPauseMs)
    }
  }

  #isMember(pid: number): boolean {
    const stat = readProc(pid, 'stat')
    if (stat === null) return false
    // The name stands in brackets and may hold any character.
    const [state, , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (state === 'Z' || state === 'X') return false
    if (this.#group !== null && Number(group) === this.#group) return true
    const environment = readProc(pid, 'environ')?.split('\0') ?? []
    const mark = environment.find((variable) => variable.startsWith(`${markName}=`))
    return mark !== undefined && this.#isOurs(mark.slice(markName.length + 1))
  }
}

export function pause(clock: Clock, durationMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  clock.timer(clock.now() + durationMs, resolve)
  return promise
}

/** Null for what is gone, and for what belongs to somebody else and is none of ours. */
function readProc(pid: number, file: 'stat' | 'environ'): string | null {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1')
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error
    return null
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    // Gone meanwhile; or of another user, by a program that changes it: the next look counts it.
    if (systemCodeOf(error) === undefined) throw error
  }
}
