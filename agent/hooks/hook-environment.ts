// The environment that hooks and command probes get: what is listed here and nothing else, so that
// no secret of the agent's own ever reaches one. docs/configuration.md, "Hooks".

import type { HookScene } from '../runtime/ports.ts'

const passedOn = ['PATH', 'HOME', 'LANG', 'TZ']
const pathDefault = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export interface Stage {
  readonly app: string
  readonly environment: string
  /** Absolute directory of the release that the host goes to. */
  readonly releaseDirectory: string
  readonly scene: HookScene
}

/** @param own the agent's own environment */
export function hookEnvironment(
  stage: Stage,
  own: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const { release, previous, fence } = stage.scene
  const kept = passedOn.flatMap((name) => {
    const value = own[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  return {
    PATH: pathDefault,
    ...Object.fromEntries(kept),
    LOCKSTEP_APP: stage.app,
    LOCKSTEP_ENV: stage.environment,
    LOCKSTEP_VERSION: release.version,
    LOCKSTEP_PREVIOUS: previous?.version ?? '',
    LOCKSTEP_RELEASE_DIR: stage.releaseDirectory,
    LOCKSTEP_EPOCH: String(fence.epoch),
  }
}
