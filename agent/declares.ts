// What a host's configuration asks of a rollout, as the controller may know it: times and a digest.

import { createHash } from 'node:crypto'
import { canonicalJson, type Json } from '#shared/canonical-json.ts'
import { limits } from '#shared/limits.ts'
import type { Declares } from '#shared/report.ts'
import { gateMsOf, type HealthConfig } from './config-health.ts'
import type { HookCommand, HooksConfig, OnceConfig } from './config-hooks.ts'

export interface Declaring {
  readonly health: HealthConfig | null
  readonly hooks: HooksConfig
  readonly once: OnceConfig | null
  readonly reload: readonly string[]
  readonly restart: readonly string[]
  readonly opcache: string | null
}

export function declaresOf(app: Declaring): Declares {
  const { health, once } = app
  return {
    gateMs: health === null ? 0 : gateMsOf(health),
    activationMs: activationMsOf(app),
    once: once === null ? null : digestOf(once),
    onceMs: once?.timeoutMs ?? 0,
    onceWhenRollingBack: once?.whenRollingBack ?? false,
  }
}

/** A way back has `on-rollback` and no `before-activate`: the longer of the two counts. */
function activationMsOf({ hooks, reload, restart, opcache }: Declaring): number {
  const timeoutMs = (name: keyof HooksConfig): number => hooks[name]?.timeoutMs ?? 0
  return (
    Math.max(timeoutMs('before-activate'), timeoutMs('on-rollback')) +
    reload.length * limits.reloadTimeoutMs +
    restart.length * limits.restartTimeoutMs +
    (opcache === null ? 0 : limits.opcacheTimeoutMs) +
    timeoutMs('after-activate')
  )
}

/** Equal for hosts that would run the same: where they differ, electing one decides what runs. */
function digestOf({ command, timeoutMs, whenRollingBack }: OnceConfig): string {
  const declared: Json = { command: jsonOf(command), timeoutMs, whenRollingBack }
  return createHash('sha256').update(canonicalJson(declared)).digest('hex')
}

function jsonOf(command: HookCommand): Json {
  return command.kind === 'unit'
    ? { unit: command.template }
    : { run: [command.program, ...command.args] }
}
