// Finds the environment that a request names. A mistyped name must not make one.

import { LockstepError } from '#shared/errors.ts'
import type { EnvironmentRunner } from '../runtime/environment-runner.ts'
import type { Environments } from '../runtime/environments.ts'
import type { HostApp } from '../store/host-store.ts'

/** @throws LockstepError `unknown-environment`. */
export function knownEnvironment(environments: Environments, place: HostApp): EnvironmentRunner {
  const runner = environments.of(place)
  if (runner !== null) return runner
  throw new LockstepError(
    'unknown-environment',
    `${place.app} has no environment ${place.environment}`,
    { hint: 'Join a host to it first, or allow an empty environment (--allow-empty).' },
  )
}
