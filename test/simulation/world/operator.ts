// The people and scripts that use the API: they ask, and ask again when no answer came.

import type {
  Answer,
  RequestedRequirement,
  RolloutRequest,
  WaveRequest,
} from '#shared/environment/events.ts'
import { exitCodeOf, isOpen, type OncePolicy, type Rollout } from '#shared/environment/rollout.ts'
import { limits } from '#shared/limits.ts'
import type { Release } from '#shared/release.ts'
import { sha256Hex } from '#shared/ids.ts'
import type { EnvironmentRunner } from '#controller/runtime/environment-runner.ts'
import type { Trace } from '../kernel/trace.ts'
import type { VirtualTime } from '../kernel/virtual-time.ts'
import type { MemoryStore } from './memory-store.ts'
import type { SimController } from './sim-controller.ts'

export interface DeployOptions {
  requirement?: RequestedRequirement
  waitMs?: number
  /** Host ids. */
  exclude?: readonly string[]
  allowEmpty?: boolean
  waves?: readonly WaveRequest[]
  once?: OncePolicy
  force?: boolean
  /** Whether a repeat bears the same Idempotency-Key; true unless said otherwise. */
  keyed?: boolean
}

export interface OperatorPorts {
  time: VirtualTime
  trace: Trace
  controller: SimController
  store: MemoryStore
  /** A request is about to be put: `what` is its verb. */
  onAsk: (what: string) => void
  onAnswer: (what: string, outcome: Answer['outcome']) => void
}

/** One request and what became of it. */
export class Asked {
  answer: Answer | null = null
  /** How often it was put. */
  attempts = 0

  get refusal(): string | null {
    return this.answer?.outcome === 'refused' ? this.answer.code : null
  }

  /** The id of the rollout that the answer names. */
  get rollout(): string | null {
    return this.answer !== null && 'rollout' in this.answer ? this.answer.rollout.id : null
  }
}

/** How soon a client asks again. */
const retryMs = 700

const who = { by: 'operator', why: null, what: 'deploy' } as const

export class Operator {
  readonly #ports: OperatorPorts
  /** Ids of the requests that said `--force`. */
  readonly #forced = new Set<string>()
  #requests = 0
  #ids = 0

  constructor(ports: OperatorPorts) {
    this.#ports = ports
  }

  deploy(version: string, options: DeployOptions = {}): Asked {
    this.#requests += 1
    const key = (options.keyed ?? true) ? `key-${this.#requests}` : null
    return this.#ask(`deploy ${version}`, (runner) =>
      runner.desire(this.#request(version, options, key), who),
    )
  }

  /** The same request put a second time, as after a lost answer. */
  repeat(version: string, options: DeployOptions = {}): Asked {
    const key = `key-${this.#requests}`
    return this.#ask(`repeat ${version}`, (runner) =>
      runner.desire(this.#request(version, options, key), who),
    )
  }

  cancel(): Asked {
    return this.#ask('cancel', (runner) => runner.cancel(null, who))
  }

  /** The next wave may come. */
  goOn(): Asked {
    return this.#ask('continue', (runner) => runner.goOn(null, who))
  }

  pause(): Asked {
    return this.#ask('pause', (runner) => runner.pause(null, who))
  }

  /** Takes the host out, or lets it in again without a reason. */
  drain(host: string, reason: string | null): Asked {
    return this.#ask(`${reason === null ? 'let in' : 'drain'} ${host}`, (runner) =>
      runner.drain(host, reason, who),
    )
  }

  recover(run: string | null): Asked {
    const release = run === null ? null : releaseOf(run)
    return this.#ask(`recover ${run ?? ''}`, (runner) => runner.recover(release, who))
  }

  isForced(rollout: string): boolean {
    return this.#forced.has(rollout)
  }

  /** How a rollout ended, as the CLI says it; null while it is open or forgotten. */
  exitCode(rollout: string | null): number | null {
    const found = rollout === null ? null : this.#ports.store.rollout(rollout)
    return found === null ? null : exitCodeOf(found)
  }

  get openRollout(): Rollout | null {
    const { rollout } = this.#ports.store.record
    return rollout !== null && isOpen(rollout.phase) ? rollout : null
  }

  #request(version: string, options: DeployOptions, key: string | null): RolloutRequest {
    this.#ids += 1
    if (options.force === true) this.#forced.add(`r${this.#ids}`)
    return {
      id: `r${this.#ids}`,
      release: releaseOf(version),
      requirement: options.requirement ?? { kind: 'all', value: 0 },
      waitMs: options.waitMs ?? limits.stageDeadlineMs,
      exclude: Object.fromEntries((options.exclude ?? []).map((host) => [host, 'asked for'])),
      allowEmpty: options.allowEmpty ?? false,
      waves: options.waves ?? [],
      once: options.once ?? null,
      force: options.force ?? false,
      requestedBy: 'operator',
      requestKey: key,
    }
  }

  #ask(what: string, put: (runner: EnvironmentRunner) => Promise<Answer>): Asked {
    const asked = new Asked()
    void this.#try(asked, what, put)
    return asked
  }

  async #try(
    asked: Asked,
    what: string,
    put: (runner: EnvironmentRunner) => Promise<Answer>,
  ): Promise<void> {
    const { time, trace, controller } = this.#ports
    const again = () => {
      time.after(retryMs, () => void this.#try(asked, what, put))
    }
    const { runner } = controller
    if (runner === null) return again()
    asked.attempts += 1
    const verb = what.split(' ')[0] ?? what
    this.#ports.onAsk(verb)
    try {
      asked.answer = await put(runner)
    } catch (error) {
      trace.add(time.now, `${what}: ${String(error)}`)
      return again()
    }
    this.#ports.onAnswer(verb, asked.answer.outcome)
    const said = asked.answer.outcome === 'refused' ? asked.answer.code : asked.answer.outcome
    trace.add(time.now, `${what}: ${said} ${asked.rollout ?? ''}`)
  }
}

/** A version and the tree that was published under it; `v1-again` is the tree of `v1`. */
export function releaseOf(version: string): Release {
  return { version, tree: sha256Hex(version.replace(/-again$/, '')) }
}
