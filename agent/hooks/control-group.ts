// A control group for one run, below the agent's own, where the kernel and systemd let us: nothing
// that runs in it can leave it, and one write kills all of it. cgroups(7), version 2; the unit's
// Delegate=yes makes the agent's own group its own to divide (systemd.resource-control(5)).

import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemCodeOf } from '#shared/errors.ts'

const prefix = 'run-'
/**
 * `0` is whoever writes it; where that is refused, the mark and the process group have to do. And when
 * the memory of agent and hooks runs out, a hook goes before the agent (proc(5), oom_score_adj).
 */
const enter = [
  '{ echo 0 > "$0"; echo 500 > /proc/self/oom_score_adj; } 2> /dev/null',
  'unset PWD OLDPWD',
  'exec "$@"',
].join('; ')

export class ControlGroup {
  readonly #path: string

  private constructor(path: string) {
    this.#path = path
  }

  /** Null where there is none to be had: the run is then known by its group and its mark. */
  static create(parent: string | null, name: string): ControlGroup | null {
    if (parent === null) return null
    const path = join(parent, `${prefix}${name}`)
    const isThere = attempt(() => mkdirSync(path), ['EEXIST'])
    return isThere ? new ControlGroup(path) : null
  }

  /** One of an earlier process; null where there is none. */
  static existing(parent: string | null, name: string): ControlGroup | null {
    if (parent === null) return null
    const group = new ControlGroup(join(parent, `${prefix}${name}`))
    return readLines(join(group.#path, 'cgroup.procs')) === null ? null : group
  }

  /**
   * The program, entering the group before it begins: moved in afterwards, it could have left a child
   * outside. The shell reads nothing but the fixed text here; what is run is passed on as it is.
   */
  entering(file: string, args: readonly string[]): { file: string; args: string[] } {
    const procs = join(this.#path, 'cgroup.procs')
    return { file: '/bin/sh', args: ['-c', enter, procs, file, ...args] }
  }

  members(): number[] {
    return membersBelow(this.#path)
  }

  /** Since Linux 5.14; before it, the members are killed one by one. */
  kill(): void {
    attempt(() => writeFileSync(join(this.#path, 'cgroup.kill'), '1'))
  }

  /** Only when nothing is in it any more. */
  remove(): void {
    removeBelow(this.#path)
  }
}

/** The agent's own group; null without a hierarchy of version 2, and where it is not ours alone. */
export function ownControlGroup(): string | null {
  const lines = readLines('/proc/self/cgroup') ?? []
  const path = lines.find((line) => line.startsWith('0::'))?.slice('0::'.length) ?? '/'
  // The root of a machine or a container holds everything that runs there.
  if (path === '/' || path.includes('/../')) return null
  const mount = (readLines('/proc/self/mountinfo') ?? []).find((line) => / - cgroup2 /.test(line))
  const [, , , root, mountPoint] = mount?.split(' ') ?? []
  return root === '/' && mountPoint !== undefined ? join(mountPoint, path) : null
}

/** What an agent that was killed left; a group with something in it stays. */
export function clearControlGroups(parent: string | null): void {
  if (parent === null) return
  for (const name of directoriesIn(parent)) {
    if (name.startsWith(prefix)) removeBelow(join(parent, name))
  }
}

function membersBelow(path: string): number[] {
  const own = readLines(join(path, 'cgroup.procs')) ?? []
  const below = directoriesIn(path).flatMap((name) => membersBelow(join(path, name)))
  return [...own.map(Number), ...below]
}

function removeBelow(path: string): void {
  for (const name of directoriesIn(path)) removeBelow(join(path, name))
  attempt(() => rmdirSync(path))
}

function directoriesIn(path: string): string[] {
  let names: string[] = []
  attempt(() => {
    const entries = readdirSync(path, { withFileTypes: true })
    names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
  })
  return names
}

function readLines(path: string): string[] | null {
  let lines: string[] | null = null
  attempt(() => {
    lines = readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
  })
  return lines
}

/** What is refused here is a right that we do not have, or a thing that went away. */
function attempt(action: () => void, fine: readonly string[] = []): boolean {
  try {
    action()
    return true
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    return fine.includes(code)
  }
}
