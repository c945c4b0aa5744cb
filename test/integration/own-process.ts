// Runs a Node script as a process of its own and gives what it wrote. tap puts a hook for coverage
// into every child, which doubles the time that one starts in and writes below the checkout, where
// another user may not: env(1) takes it out again.

import { spawn } from 'node:child_process'
import { once } from 'node:events'

export interface OwnProcess {
  /** For Node: options, the script, its arguments. */
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** The address of a module that the process and each of its workers loads first. */
  readonly preload?: string
  /** The user and group to run as, where that is not this process's own. */
  readonly user?: number
  readonly umask?: string
}

/** @returns its standard output, or null when it was killed. @throws when it failed */
export async function runNode(process_: OwnProcess): Promise<string | null> {
  const { args, env = {}, preload, user, umask } = process_
  const node = [process.execPath, ...args]
  const command =
    umask === undefined ? node : ['sh', '-c', `umask ${umask}; exec "$0" "$@"`, ...node]
  // Workers take no options of the process's command line, but these.
  const options = preload === undefined ? [] : [`NODE_OPTIONS=--import=${preload}`]
  const child = spawn('env', ['-u', 'NODE_OPTIONS', ...options, ...command], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(user === undefined || process.geteuid?.() !== 0 ? {} : { uid: user, gid: user }),
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  if (signal === 'SIGKILL') return null
  if (code !== 0) throw new Error(`node ${args[0]} ended with ${code ?? signal}`)
  return output
}
