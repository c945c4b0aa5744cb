// The environment that git and the commands of a build run in: the caller's, without what would make
// the same commit come out differently, and without Lockstep's own secrets. Pure.

import type { Environment } from '../connection.ts'

/**
 * The user's configuration, and how git reaches other machines, for submodules and for dependencies that
 * are repositories. Every other GIT_ variable (GIT_DIR, GIT_INDEX_FILE, GIT_CONFIG_COUNT …) would turn
 * git to another repository or change what it checks out. git(1), "Environment Variables".
 */
const keptOfGit = new Set([
  'GIT_ASKPASS',
  'GIT_CONFIG_GLOBAL',
  'GIT_CONFIG_NOSYSTEM',
  'GIT_CONFIG_SYSTEM',
  'GIT_PROXY_COMMAND',
  'GIT_SSH',
  'GIT_SSH_COMMAND',
  'GIT_SSH_VARIANT',
  'GIT_SSL_CAINFO',
  'GIT_SSL_CAPATH',
])

/** A build runs programs of many authors, and none of them is to publish or deploy. */
const secrets = new Set(['LOCKSTEP_TOKEN', 'LOCKSTEP_TOKEN_FILE', 'LOCKSTEP_SIGNING_KEY'])

/** What every build has alike; the provenance says it. */
export const fixedVariables = { TZ: 'UTC', LC_ALL: 'C.UTF-8' } as const

export function gitEnvironment(env: Environment): Environment {
  const kept = Object.entries(env).filter(
    ([name]) => !secrets.has(name) && (!name.startsWith('GIT_') || keptOfGit.has(name)),
  )
  // Nobody sits at the prompt: a missing password is a failure, never a wait.
  return { ...Object.fromEntries(kept), ...fixedVariables, GIT_TERMINAL_PROMPT: '0' }
}

/**
 * @param commitSeconds when the commit was made; what tools write instead of the present time,
 *   https://reproducible-builds.org/specs/source-date-epoch/
 */
export function commandEnvironment(env: Environment, commitSeconds: number): Environment {
  return { ...gitEnvironment(env), SOURCE_DATE_EPOCH: String(commitSeconds) }
}
