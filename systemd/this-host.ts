// The machine that this process runs on, as the installer sees it. The only place of systemd/ that
// starts programs for the installer.

import { execFile } from 'node:child_process'
import { hostname } from 'node:os'
import { systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import type { CommandResult, Host } from './host.ts'

export function thisHost(): Host {
  return {
    rootDirectory: '/',
    platform: process.platform,
    arch: process.arch,
    hostname: hostname(),
    uid: process.geteuid?.() ?? -1,
    run,
  }
}

function run(program: string, args: readonly string[]): Promise<CommandResult> {
  return new Promise((resolve) => {
    execFile(
      program,
      [...args],
      {
        // Messages are shown to people and some are read, so they must not be translated.
        env: { ...process.env, LC_ALL: 'C.UTF-8', SYSTEMD_COLORS: '0', SYSTEMD_PAGER: '' },
        timeout: limits.installCommandTimeoutMs,
        killSignal: 'SIGKILL',
        maxBuffer: limits.bodyBytesMax * 16,
      },
      (error, stdout, stderr) => resolve({ exitCode: exitCodeOf(error), stdout, stderr }),
    )
  })
}

function exitCodeOf(error: (Error & { code?: unknown }) | null): number {
  if (error === null) return 0
  if (systemCodeOf(error) === 'ENOENT') return 127
  return typeof error.code === 'number' ? error.code : 1
}
