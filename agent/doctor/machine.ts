// The machine as the doctor sees it: where it looks, and how it runs the programs that it asks. The doctor
// only looks; nothing that it runs changes anything.

import { execFile } from 'node:child_process'
import { systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'

export interface ProgramAnswer {
  /** 127 where there is no such program, as a shell says it. */
  readonly exitCode: number
  readonly stdout: string
}

export interface Machine {
  /** Where what is installed is looked for: `/`. */
  readonly top: string
  readonly procfs: string
  /** The directory of nginx.conf. */
  readonly nginxDirectory: string
  /** The directory that has `8.2/fpm/php.ini` below it. */
  readonly phpDirectory: string
  /** The directory of php-fpm's binaries. */
  readonly systemBinaries: string
  readonly run: (program: string, args: readonly string[]) => Promise<ProgramAnswer>
}

/** Programs of administrators are not in the PATH of other users everywhere. */
const path = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'].join(
  ':',
)

export function thisMachine(): Machine {
  return {
    top: '/',
    procfs: '/proc',
    nginxDirectory: '/etc/nginx',
    phpDirectory: '/etc/php',
    systemBinaries: '/usr/sbin',
    run,
  }
}

function run(program: string, args: readonly string[]): Promise<ProgramAnswer> {
  const { promise, resolve } = Promise.withResolvers<ProgramAnswer>()
  const options = {
    // What they print is read, so it must not be translated.
    env: { PATH: path, LC_ALL: 'C', SYSTEMD_COLORS: '0', SYSTEMD_PAGER: '' },
    timeout: limits.doctorProgramTimeoutMs,
    killSignal: 'SIGKILL',
    maxBuffer: limits.doctorOutputBytesMax,
    encoding: 'utf8',
  } as const
  execFile(program, [...args], options, (error, stdout) => {
    const exitCode =
      error === null
        ? 0
        : systemCodeOf(error) === 'ENOENT'
          ? 127
          : typeof error.code === 'number'
            ? error.code
            : 1
    resolve({ exitCode, stdout })
  })
  return promise
}
