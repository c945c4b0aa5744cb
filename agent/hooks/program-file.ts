// Which file a configured program is. One inside a release is a file of that release: a link of it
// that leads out, into `shared/` that others may write, is never followed.

import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'
import { systemCodeOf } from '#shared/errors.ts'
import { realPathOf } from '../adapters/real-path.ts'

export type ProgramFile =
  | { readonly kind: 'found'; readonly file: string }
  | { readonly kind: 'refused'; readonly reason: string }

/**
 * @param program absolute; with a slash: inside the release; a bare name: looked for in `path`
 * @param path directories between colons, as PATH has them
 */
export function findProgram(program: string, releaseDirectory: string, path: string): ProgramFile {
  if (isAbsolute(program)) return judged(program, program)
  if (program.includes('/')) return insideRelease(program, releaseDirectory)
  const directories = path.split(delimiter).filter(isAbsolute)
  const file = directories.map((directory) => join(directory, program)).find(isExecutable)
  if (file !== undefined) return { kind: 'found', file }
  const hint = `a program of the release is written with a slash: ./${program}`
  return { kind: 'refused', reason: `${program} is in no directory of PATH (${hint})` }
}

function insideRelease(program: string, releaseDirectory: string): ProgramFile {
  const file = join(releaseDirectory, program)
  const directory = realPathOf(releaseDirectory)
  if (directory === null) return { kind: 'refused', reason: `${releaseDirectory} is not there` }
  const real = realPathOf(file)
  if (real === null) return { kind: 'refused', reason: `the release has no ${program}` }
  if (!real.startsWith(`${directory}/`)) {
    return { kind: 'refused', reason: `${program} leads out of the release, to ${real}` }
  }
  return judged(file, program)
}

function judged(file: string, shown: string): ProgramFile {
  if (isExecutable(file)) return { kind: 'found', file }
  const reason = realPathOf(file) === null ? 'is not there' : 'is no file that may be executed'
  return { kind: 'refused', reason: `${shown} ${reason}` }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error
    return false
  }
}
