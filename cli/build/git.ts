// Asks git, as a program: the one place of a build that does. Its configuration is the user's, but for
// what would run hooks or check out other bytes than the commit has.

import { join } from 'node:path'
import { LockstepError } from '#shared/errors.ts'
import type { Environment } from '../connection.ts'
import { type ProgramEnd, runProgram } from './program-run.ts'

/** git-config(1). */
const configuration = {
  'core.hooksPath': '/dev/null',
  'core.autocrlf': 'false',
  'core.attributesFile': '/dev/null',
  'core.fsmonitor': 'false',
  'advice.detachedHead': 'false',
  // Collecting garbage goes on in the background, in a directory that is about to be removed.
  'gc.auto': '0',
  'maintenance.auto': 'false',
}

const options = Object.entries(configuration).flatMap(([key, value]) => ['-c', `${key}=${value}`])

/**
 * The text of a global configuration for a clone: the user's, since credentials, `safe.directory` and LFS
 * are in it, and the same as above. `-c` alone does not reach the clones of submodules.
 */
export function cloneConfiguration(env: Environment): string {
  const home = env['HOME'] ?? ''
  const given = env['GIT_CONFIG_GLOBAL']
  const own = [
    join(env['XDG_CONFIG_HOME'] ?? join(home, '.config'), 'git/config'),
    join(home, '.gitconfig'),
  ]
  const included = given === undefined ? own : [given]
  const fixed = Object.entries(configuration).map(([key, value]) => {
    const [section = '', name = ''] = key.split('.')
    return `[${section}]\n\t${name} = ${value}`
  })
  return [
    ...included.map((path) => `[include]\n\tpath = ${JSON.stringify(path)}`),
    ...fixed,
    '',
  ].join('\n')
}

export interface GitCall {
  readonly env: Environment
  readonly signal: AbortSignal
}

/** Whatever it ends with. @throws LockstepError `build-failed` where there is no git */
export async function askGit(
  directory: string,
  words: readonly string[],
  { env, signal }: GitCall,
): Promise<ProgramEnd> {
  const argv = ['git', '--no-optional-locks', '--no-pager', ...options, ...words]
  const end = await runProgram({ argv, directory, env, signal })
  if (end.exitCode !== 127) return end
  throw new LockstepError('build-failed', 'git is not installed, or not in PATH', {
    hint: 'Install git: a build begins with a clean clone.',
  })
}

/** @throws LockstepError `build-failed` with git's own words when it fails */
export async function git(
  directory: string,
  words: readonly string[],
  call: GitCall,
): Promise<readonly string[]> {
  const end = await askGit(directory, words, call)
  if (end.exitCode === 0) return end.output
  const said = end.lastLines.map(withoutCredentials).join('\n')
  throw new LockstepError('build-failed', `git ${words[0] ?? ''} failed:\n${said}`, {
    details: { exitCode: end.exitCode },
  })
}

/** Names and passwords in addresses: nobody who reads a message or a provenance is to have them. */
export function withoutCredentials(text: string): string {
  return text.replaceAll(/([a-z][a-z0-9+.-]*:\/\/)[^/@\s'"]+@/gi, '$1')
}
