// What people want, drawn from the seed: how hosts are configured, and what a deploy asks for.

import type { RequestedRequirement, WaveRequest } from '#shared/environment/events.ts'
import type { OncePolicy } from '#shared/environment/rollout.ts'
import type { EnvironmentRecord } from '#shared/environment/state.ts'
import { limits } from '#shared/limits.ts'
import { type Declares, declaresNothing } from '#shared/report.ts'
import type { Random } from './kernel/random.ts'
import { type DeployOptions, releaseOf } from './world/operator.ts'

const migration = 'a'.repeat(64)
const otherMigration = 'b'.repeat(64)

/** How the hosts of one fleet are configured: the same for all, or not. */
export class Configurations {
  readonly #random: Random
  readonly #once: readonly (string | null)[]
  readonly #gateMs: readonly number[]
  readonly #onceMs: number
  readonly #onceWhenRollingBack: boolean

  constructor(random: Random) {
    this.#random = random
    const without: readonly (string | null)[] = [null]
    const kinds = [without, without, without, [migration], [migration], [migration, null]]
    this.#once = random.chance(0.06) ? [migration, otherMigration, null] : random.pick(kinds)
    this.#gateMs = random.pick([[0], [0], [500], [3000], [0, 500, 10_000]])
    this.#onceMs = random.pick([2000, 5000, 20_000])
    this.#onceWhenRollingBack = random.chance(0.2)
  }

  next(): Declares {
    const once = this.#random.pick(this.#once)
    const gateMs = this.#random.pick(this.#gateMs)
    const activationMs = gateMs
    if (once === null) return { ...declaresNothing, gateMs, activationMs }
    const onceWhenRollingBack = this.#onceWhenRollingBack
    return { gateMs, activationMs, once, onceMs: this.#onceMs, onceWhenRollingBack }
  }
}

/** @param hosts the ids of all hosts */
export function deployOf(
  random: Random,
  version: string,
  hosts: readonly string[],
  record: EnvironmentRecord,
): DeployOptions {
  const once = onceOf(random, version, record)
  return {
    requirement: requirementOf(random),
    waitMs: random.pick([2000, 10_000, 30_000, 30_000, 60_000, limits.stageDeadlineMs]),
    exclude: random.chance(0.12) ? [random.pick(hosts)] : [],
    allowEmpty: random.chance(0.1),
    keyed: random.chance(0.8),
    waves: random.chance(0.5) ? wavesOf(random, hosts) : [],
    once,
    force: once === 'run' && random.chance(0.2),
  }
}

function requirementOf(random: Random): RequestedRequirement {
  return random.pick([
    { kind: 'all', value: 0 },
    { kind: 'all', value: 0 },
    { kind: 'count', value: random.integer(1, 3) },
    { kind: 'percent', value: random.pick([34, 50, 67, 100]) },
  ] as const)
}

/** Where nobody knows how the last run ended, somebody has to say something. */
function onceOf(random: Random, version: string, { once }: EnvironmentRecord): OncePolicy {
  const isOpen = once[releaseOf(version).tree]?.state === 'unknown'
  return isOpen
    ? random.pick(['run', 'run', 'run', 'done', null] as const)
    : random.pick(['run', 'done', ...Array.from({ length: 12 }, () => null)] as const)
}

function wavesOf(random: Random, hosts: readonly string[]): readonly WaveRequest[] {
  return Array.from({ length: random.integer(1, 2) }, (_, index) => ({
    name: `wave ${index + 1}`,
    hosts: hostsOf(random, hosts),
    soakMs: random.pick([
      0,
      random.between([100, 15_000]),
      random.between([100, 15_000]),
      null,
      null,
    ]),
  }))
}

function hostsOf(random: Random, hosts: readonly string[]): WaveRequest['hosts'] {
  const named = hosts.filter(() => random.chance(0.4))
  return random.pick([
    { kind: 'count', value: random.integer(1, 2) },
    { kind: 'percent', value: random.pick([10, 34, 50]) },
    { kind: 'hosts', hosts: named.length === 0 ? hosts.slice(0, 1) : named },
  ] as const)
}
