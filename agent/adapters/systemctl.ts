// Questions and requests to systemd, by its own command: names of units only, never a command line
// from anywhere else. systemctl(1).

import { execFile } from 'node:child_process'
import { systemCodeOf } from '#shared/errors.ts'

export interface SystemctlAnswer {
  /** 127 where there is no systemctl; 124 when the time was over, or nobody waited any more. */
  readonly exitCode: number
  readonly stdout: string
  /** In one line. */
  readonly said: string
}

/** Never rejects for what systemd does. */
export type Systemctl = (
  args: readonly string[],
  options: { timeoutMs: number; signal?: AbortSignal },
) => Promise<SystemctlAnswer>

export const systemctl: Systemctl = (args, { timeoutMs, signal }) => {
  const { promise, resolve, reject } = Promise.withResolvers<SystemctlAnswer>()
  const options = { timeout: timeoutMs, killSignal: 'SIGKILL', encoding: 'utf8', signal } as const
  execFile('systemctl', ['--no-ask-password', ...args], options, (error, stdout, stderr) => {
    const said = stderr
      .trim()
      .replaceAll(/\s*\n\s*/g, ' ')
      .slice(0, 500)
    if (error === null) return resolve({ exitCode: 0, stdout, said })
    if (signal?.aborted === true) return resolve({ exitCode: 124, stdout, said: 'it was given up' })
    const code: unknown = error.code
    if (typeof code === 'number') return resolve({ exitCode: code, stdout, said })
    if (error.killed === true) {
      return resolve({ exitCode: 124, stdout, said: `no answer within ${timeoutMs} ms` })
    }
    const systemCode = systemCodeOf(error)
    if (systemCode === undefined) return reject(error)
    resolve({ exitCode: 127, stdout, said: `systemctl cannot be run (${systemCode})` })
  })
  return promise
}
