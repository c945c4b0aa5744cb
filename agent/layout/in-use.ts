// Which directories are still in use, as /proc tells: by live processes (working directory,
// executable, root, open files and mappings), or by a mount in any mount namespace, of something
// below one or of one elsewhere, as into a container. A process that does not let itself be looked
// into (another user's, when the agent is not root) is counted and not guessed at: it may use any of
// them, so only a scan that saw everything may be believed when it says "nobody". proc(5).

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { TimeSlice } from '../adapters/time-slice.ts'
import { isWithin, type Mount, parseMounts, type Place, placeOf } from './mounts.ts'
import { systemCodeOf } from '#shared/errors.ts'

export interface User {
  readonly pid: number
  /** What of it: `cwd`, `an open file`. */
  readonly how: string
}

export interface Usage {
  /** For each directory that is in use, one of the processes. */
  readonly users: ReadonlyMap<string, User>
  /** Processes whose files could not be looked at. */
  readonly unseenCount: number
  /** Whether /proc leaves other users' processes out altogether. */
  readonly hidesProcesses: boolean
}

/** @param directories absolute real paths; one counts as used when anything below it is. */
export async function findUsage(directories: readonly string[], procfs = '/proc'): Promise<Usage> {
  const scan = new Scan(directories, procfs)
  const slice = new TimeSlice()
  scan.lookAtMounts(scan.ownMounts, process.pid)
  let unseenCount = 0
  for (const name of directories.length === 0 ? [] : readdirSync(procfs)) {
    if (!/^[0-9]+$/.test(name)) continue
    let isUnseen = false
    for (const look of scan.looks) {
      if (slice.isOver) await slice.rest()
      if (!isSeen(() => look(`${procfs}/${name}`, Number(name)))) isUnseen = true
    }
    if (isUnseen) unseenCount += 1
  }
  return { users: scan.users, unseenCount, hidesProcesses: hides(scan.ownMounts, procfs) }
}

class Scan {
  readonly users = new Map<string, User>()
  readonly ownMounts: readonly Mount[]
  readonly #places: readonly (readonly [directory: string, place: Place])[]
  readonly #namespaces = new Set<string>()
  readonly #directories: readonly string[]

  constructor(directories: readonly string[], procfs: string) {
    this.#directories = directories
    this.ownMounts = parseMounts(readFileSync(`${procfs}/self/mountinfo`, 'utf8'))
    this.#places = directories.flatMap((directory) => {
      const place = placeOf(directory, this.ownMounts)
      return place === null ? [] : [[directory, place] as const]
    })
  }

  /** Each looks at one process, and throws what the system refuses. */
  readonly looks: readonly ((process: string, pid: number) => void)[] = [
    (process, pid) => {
      for (const how of ['cwd', 'exe', 'root']) {
        this.#note(targetOf(`${process}/${how}`), pid, how)
      }
    },
    (process, pid) => {
      for (const descriptor of readdirSync(`${process}/fd`)) {
        this.#note(targetOf(`${process}/fd/${descriptor}`), pid, 'an open file')
      }
    },
    (process, pid) => {
      for (const line of readFileSync(`${process}/maps`, 'utf8').split('\n')) {
        const start = line.indexOf('/')
        if (start !== -1) this.#note(line.slice(start), pid, 'a mapping')
      }
    },
    (process, pid) => {
      const namespace = targetOf(`${process}/ns/mnt`)
      if (namespace === null || this.#namespaces.has(namespace)) return
      const text = readFileSync(`${process}/mountinfo`, 'utf8')
      this.#namespaces.add(namespace)
      this.lookAtMounts(parseMounts(text), pid)
    },
  ]

  lookAtMounts(mounts: readonly Mount[], pid: number): void {
    for (const { device, root, point } of mounts) {
      this.#note(point, pid, 'a mount')
      for (const [directory, place] of this.#places) {
        if (device !== place.device || !isWithin(root, place.path)) continue
        this.#noteUser(directory, pid, 'a mount')
      }
    }
  }

  #note(path: string | null, pid: number, how: string): void {
    if (path === null) return
    for (const directory of this.#directories) {
      if (isWithin(path, directory)) this.#noteUser(directory, pid, how)
    }
  }

  #noteUser(directory: string, pid: number, how: string): void {
    if (!this.users.has(directory)) this.users.set(directory, { pid, how })
  }
}

/** Null for what went away meanwhile, and for a kernel thread's missing `exe`. */
function targetOf(link: string): string | null {
  try {
    return readlinkSync(link)
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(systemCodeOf(error) ?? '')) return null
    throw error
  }
}

/** What went away meanwhile uses nothing. */
function isSeen(look: () => void): boolean {
  try {
    look()
    return true
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    return code === 'ENOENT' || code === 'ESRCH'
  }
}

/** The option hidepid of proc(5): then what cannot be looked into is not even counted. */
function hides(mounts: readonly Mount[], procfs: string): boolean {
  const own = mounts.findLast(({ point, type }) => point === procfs && type === 'proc')
  const [, hidden = '0'] = /(?:^|,)hidepid=(\w+)/.exec(own?.options ?? '') ?? []
  return !['0', 'off'].includes(hidden)
}
