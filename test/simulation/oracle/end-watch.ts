// Watches that every rollout ends in time: its deadlines, and what the controller may add to them
// when it was away, fenced or could not save.

import { limits } from '#shared/limits.ts'
import type { Rollout } from '#shared/environment/rollout.ts'
import type { EnvironmentRecord } from '#shared/environment/state.ts'
import type { EnvironmentSave } from '#controller/runtime/environment-store.ts'
import { require } from './violation.ts'

export interface EndWatchParts {
  nowMs: () => number
  isUp: () => boolean
  record: () => EnvironmentRecord
  /** The longest that a host declares for all that it does in one wave, milliseconds. */
  declaredMs: () => number
}

interface Watched {
  readonly id: string
  readonly budgetMs: number
  readonly startedMs: number
  /** Time that does not count: the controller was away or fenced, or granted a lease after it. */
  readonly excusedMs: number
}

export class EndWatch {
  readonly #parts: EndWatchParts
  #excusedMs = 0
  #lookedMs = 0
  #wasExcused = false
  #open: Watched | null = null

  constructor(parts: EndWatchParts) {
    this.#parts = parts
  }

  /** A save that failed is tried again after a pause. */
  failed(): void {
    this.#excusedMs += 2000
  }

  /** A deadline may be as far away again as the longest phase allows. */
  clockWasSet(): void {
    this.#excusedMs += limits.stageDeadlineMs
  }

  /** Somebody holds it up or lets it go on: what it waits for has a deadline of its own. */
  wasMoved(): void {
    this.#excusedMs += limits.pauseDeadlineMs + limits.waveDeadlineMs
  }

  restored(): void {
    this.#open = null
  }

  saved({ facts, at }: EnvironmentSave): void {
    for (const fact of facts) {
      if (fact.type === 'rollout-ended' && fact.rollout.id === this.#open?.id) this.#open = null
      if (fact.type !== 'rollout-started') continue
      const waitMs = fact.rollout.deadlineAt - at
      this.#open = {
        id: fact.rollout.id,
        budgetMs: waitMs + afterBarrierMs(fact.rollout, this.#parts.declaredMs()),
        startedMs: this.#parts.nowMs(),
        excusedMs: this.#excusedMs,
      }
    }
  }

  look(): void {
    const { nowMs, isUp, record } = this.#parts
    const now = nowMs()
    const isExcused = !isUp() || Object.keys(record().fencedBy).length > 0
    if (this.#wasExcused) this.#excusedMs += now - this.#lookedMs
    if (this.#wasExcused && !isExcused) this.#excusedMs += limits.leaseMs
    this.#lookedMs = now
    this.#wasExcused = isExcused
    if (this.#open === null || isExcused) return
    const { id, budgetMs, startedMs, excusedMs } = this.#open
    const openMs = now - startedMs - (this.#excusedMs - excusedMs)
    require(openMs <= budgetMs, 'always an end', `${id} has been open for ${Math.round(openMs)} ms`)
  }
}

/** All deadlines after the barrier of staging, and a moment to save each judgement. */
function afterBarrierMs({ waves }: Rollout, declaredMs: number): number {
  const onceMs = Math.max(limits.onceDeadlineMs, declaredMs + limits.leaseMs) + limits.leaseMs
  const wavesMs = waves.map(({ soakMs }, index) => {
    const restMs = soakMs === null ? limits.pauseDeadlineMs : soakMs
    const nextMs = index === waves.length - 1 ? 0 : restMs + limits.waveDeadlineMs
    return limits.activationDeadlineMs + limits.verifyDeadlineMs + declaredMs + nextMs + 1000
  })
  const backMs = limits.rollBackDeadlineMs + declaredMs + 2000
  return wavesMs.reduce((sum, waveMs) => sum + waveMs, onceMs + backMs)
}
