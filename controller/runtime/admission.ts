// Whether people let a release into an environment: judged before the machine is asked, from what
// they decided about the environment and where the release was committed. Pure.

import type { ErrorCode } from '#shared/errors.ts'
import type { Release } from '#shared/release.ts'
import type { EnvironmentSettings } from '../store/environment-setting-store.ts'
import type { HostApp } from '../store/host-store.ts'

export interface AdmissionScene {
  readonly place: HostApp
  readonly release: Release
  readonly settings: EnvironmentSettings
  /** Whether its tree was ever committed in the environment that `settings` require. */
  readonly wasCommittedThere: boolean
  /** Whether it was ever committed here: going back must not hang on another environment. */
  readonly wasCommittedHere: boolean
}

export interface AdmissionRefusal {
  readonly code: Extract<ErrorCode, 'frozen' | 'not-promotable'>
  readonly message: string
  readonly hint: string
  readonly details: Record<string, unknown>
}

/** Null where nothing stands against a rollout of the release. */
export function admissionRefusal(scene: AdmissionScene): AdmissionRefusal | null {
  const { place, release, settings } = scene
  const { app, environment } = place
  const { freeze, requires } = settings
  if (freeze !== null) {
    const since = new Date(freeze.at).toISOString()
    return {
      code: 'frozen',
      message: `${app} in ${environment} was frozen by ${freeze.owner} at ${since}: ${freeze.reason}`,
      hint: `Ask ${freeze.owner}, or end it: \`lockstep unfreeze ${app} --env ${environment}\`.`,
      details: { ...freeze },
    }
  }
  if (requires === null || scene.wasCommittedThere || scene.wasCommittedHere) return null
  return {
    code: 'not-promotable',
    message: `${app} ${release.version} was never committed in ${requires}, as ${environment} requires`,
    hint: `Deploy it there first: \`lockstep deploy ${app} ${release.version} --env ${requires}\`.`,
    details: { requires, tree: release.tree },
  }
}
