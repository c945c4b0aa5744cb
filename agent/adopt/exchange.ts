// Exchanges two names of one file system at once, so that neither is ever missing: renameat2(2) with
// RENAME_EXCHANGE. Node has no call for it, so whatever of the host's own programs has one makes it.

import { execFile } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import { limits } from '#shared/limits.ts'

/** Exchanges what the two absolute paths name. @returns null, or why it could not */
export type Exchange = (one: string, other: string) => Promise<string | null>

interface Way {
  readonly name: string
  readonly program: string
  readonly args: (one: string, other: string) => readonly string[]
}

/** Of Linux; the numbers are those of asm/unistd.h. */
const systemCalls: Readonly<Record<string, number>> = { x64: 316, arm64: 276 }
const exchangeFlag = 2
const atCwd = -100

/** In this order; absolute, since root runs them. */
export function ways(arch: string = process.arch): Way[] {
  const number = systemCalls[arch]
  const call = [number, atCwd, exchangeFlag].join(',')
  const scripts: Way[] = [
    {
      name: 'renameat2 by perl',
      program: '/usr/bin/perl',
      args: (one, other) => [
        '-e',
        `my ($n, $at, $flag) = (${call}); ` +
          'exit(syscall($n, $at, $ARGV[0], $at, $ARGV[1], $flag) == 0 ? 0 : $! + 0)',
        one,
        other,
      ],
    },
    {
      name: 'renameat2 by python3',
      program: '/usr/bin/python3',
      args: (one, other) => [
        '-c',
        'import ctypes, os, sys; libc = ctypes.CDLL(None, use_errno=True); ' +
          `n, at, flag = ${call}; one, other = map(os.fsencode, sys.argv[1:]); ` +
          'sys.exit(ctypes.get_errno() if libc.syscall(n, at, one, at, other, flag) else 0)',
        one,
        other,
      ],
    },
  ]
  return [
    {
      name: 'mv --exchange',
      program: '/usr/bin/mv',
      // Since coreutils 9.5; an older one refuses the option and does nothing.
      args: (one, other) => ['--exchange', '--no-target-directory', '--', one, other],
    },
    ...(number === undefined ? [] : scripts),
  ]
}

/**
 * A way that is seen to work on this file system, tried on two names of its own.
 * @param directory an own directory there
 * @returns null where there is none
 */
export async function findExchange(
  directory: string,
  candidates: readonly Way[] = ways(),
): Promise<{ readonly name: string; readonly exchange: Exchange } | null> {
  for (const way of candidates) {
    const exchange = exchangeBy(way)
    if (existsSync(way.program) && (await works(directory, exchange))) {
      return { name: way.name, exchange }
    }
  }
  return null
}

async function works(directory: string, exchange: Exchange): Promise<boolean> {
  const place = mkdtempSync(join(directory, 'try-'))
  try {
    const [link, folder] = [join(place, 'link'), join(place, 'folder')]
    symlinkSync('folder', link)
    mkdirSync(folder)
    if ((await exchange(link, folder)) !== null) return false
    return lstatSync(link).isDirectory() && readlinkSync(folder) === 'folder'
  } finally {
    rmSync(place, { recursive: true })
  }
}

function exchangeBy({ program, args }: Way): Exchange {
  return (one, other) =>
    new Promise((resolve) => {
      const options = { timeout: limits.exchangeTimeoutMs, killSignal: 'SIGKILL' as const }
      execFile(program, [...args(one, other)], options, (error, _stdout, stderr) => {
        if (error === null) resolve(null)
        else resolve(stderr.trim() === '' ? `${program} ended with ${error.code}` : stderr.trim())
      })
    })
}
