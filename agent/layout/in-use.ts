// Which directories are still in use, as /proc tells: by live processes (working directory,
// executable, root, open files and mappings), or by a file system that is mounted below one, since
// whoever deletes such a directory deletes what is mounted there. A process that does not let
// itself be looked into (another user's, when the agent is not root) is counted and not guessed at:
// it may use any of them, so the caller must not take "nobody" from a scan with unseen processes
// for more than it is. proc(5).

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { TimeSlice } from '../adapters/time-slice.ts'
import { systemCodeOf } from '#shared/errors.ts'

export interface Usage {
  /** For each directory that is in use, one of the processes and what of it. */
  readonly users: ReadonlyMap<string, { readonly pid: number; readonly how: string }>
  /** Processes whose files could not be looked at. */
  readonly unseenCount: number
}

/** @param directories absolute real paths; one counts as used when anything below it is. */
export async function findUsage(directories: readonly string[], procfs = '/proc'): Promise<Usage> {
  const users = new Map<string, { pid: number; how: string }>()
  if (directories.length > 0) noteUsers(mountsOf(procfs), directories, process.pid, users)
  const slice = new TimeSlice()
  let unseenCount = 0
  for (const name of directories.length === 0 ? [] : readdirSync(procfs)) {
    if (!/^[0-9]+$/.test(name)) continue
    const directory = `${procfs}/${name}`
    let isUnseen = false
    for (const source of [linksOf, openFilesOf, mappingsOf]) {
      if (slice.isOver) await slice.rest()
      const paths = seen(() => source(directory))
      if (paths === 'refused') isUnseen = true
      else noteUsers(paths, directories, Number(name), users)
    }
    if (isUnseen) unseenCount += 1
  }
  return { users, unseenCount }
}

interface UsedPath {
  readonly path: string
  readonly how: string
}

function linksOf(directory: string): UsedPath[] {
  return ['cwd', 'exe', 'root'].flatMap((how) => {
    const path = targetOf(`${directory}/${how}`)
    return path === null ? [] : [{ path, how }]
  })
}

function openFilesOf(directory: string): UsedPath[] {
  return readdirSync(`${directory}/fd`).flatMap((descriptor) => {
    const path = targetOf(`${directory}/fd/${descriptor}`)
    return path === null ? [] : [{ path, how: 'an open file' }]
  })
}

function mappingsOf(directory: string): UsedPath[] {
  return readFileSync(`${directory}/maps`, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const start = line.indexOf('/')
      return start === -1 ? [] : [{ path: line.slice(start), how: 'a mapping' }]
    })
}

/** Mount points as this process sees them; the fifth field, white space as octal. */
function mountsOf(procfs: string): UsedPath[] {
  return readFileSync(`${procfs}/self/mountinfo`, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const path = line.split(' ')[4]?.replaceAll(/\\([0-7]{3})/g, unescaped)
      return path === undefined ? [] : [{ path, how: 'a mount' }]
    })
}

function unescaped(_: string, octal: string): string {
  return String.fromCharCode(Number.parseInt(octal, 8))
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

function seen(read: () => UsedPath[]): UsedPath[] | 'refused' {
  try {
    return read()
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    return code === 'ENOENT' || code === 'ESRCH' ? [] : 'refused'
  }
}

function noteUsers(
  paths: readonly UsedPath[],
  directories: readonly string[],
  pid: number,
  users: Map<string, { pid: number; how: string }>,
): void {
  for (const { path, how } of paths) {
    for (const directory of directories) {
      if (users.has(directory)) continue
      if (path === directory || path.startsWith(`${directory}/`)) users.set(directory, { pid, how })
    }
  }
}
