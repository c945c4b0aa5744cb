// Judges every decision to activate as it becomes durable: who was ready, that the waves before are
// healthy and have rested, and that enough take part.

import type { Decision } from '#shared/environment/decision.ts'
import type { Participant, Rollout } from '#shared/environment/rollout.ts'
import type { EnvironmentSave } from '#controller/runtime/environment-store.ts'
import { sameFence } from '#shared/fence.ts'
import { limits } from '#shared/limits.ts'
import { sameRelease } from '#shared/release.ts'
import type { Seen } from './seen.ts'
import { require } from './violation.ts'

/** A wave that rests, and what has to happen before the next one. */
interface Rest {
  readonly rollout: string
  readonly wave: number
  /** By the controller's clock, epoch milliseconds. */
  readonly since: number
  /** Null: until somebody lets it go on. */
  soakMs: number | null
  isLetGoOn: boolean
}

export class BarrierCheck {
  readonly #seen: Seen
  #rest: Rest | null = null
  /** Somebody has asked that the next wave may come, and has no answer yet. */
  #isAsked = false

  constructor(seen: Seen) {
    this.#seen = seen
  }

  /** Somebody is about to say that the next wave may come; the rest may begin just before it is heard. */
  letGoOnAsked(): void {
    this.#isAsked = true
    this.#letGoOn()
  }

  /** It was heard, be it after a request to pause that was under way with it. */
  letGoOnAnswered(isLetGoOn: boolean): void {
    this.#isAsked = false
    if (isLetGoOn) this.#letGoOn()
  }

  /** Somebody was told that no further wave comes. */
  heldUp(): void {
    if (this.#rest === null) return
    this.#rest.soakMs = null
    this.#rest.isLetGoOn = false
  }

  /** The clock that rests are measured by was set, or the record of them was lost. */
  forgetRest(): void {
    this.#rest = null
  }

  rested({ id, wave, waves, between }: Rollout): void {
    const soakMs = waves[wave]?.soakMs ?? null
    const since = between?.since ?? 0
    this.#rest = { rollout: id, wave, since, soakMs, isLetGoOn: this.#isAsked }
  }

  activated({ before, after }: EnvironmentSave, decision: Decision): void {
    const { rollout } = after
    require(rollout !== null && rollout.id === decision.rollout, 'all or none', 'for no rollout')
    require(decision.counted.length > 0, 'all or none', 'an activation for nobody')
    const known = before.rollout?.id === rollout.id ? before.rollout.participants : {}
    const isEarlier = (host: string) => known[host]?.counted === true
    const told = decision.counted.filter((host) => !isEarlier(host))
    require(told.length > 0, 'all or none', 'a wave for nobody')
    for (const host of told) this.#checkReady(host, before, decision)
    const all = Object.values(rollout.participants)
    this.#checkOrder(decision, all)
    if (!Object.values(known).some((p) => p.counted)) {
      this.#checkFirst(before, rollout, decision, all)
      return
    }
    for (const host of decision.counted.filter(isEarlier)) {
      this.#checkHealthy(host, before, rollout)
    }
    this.#checkRest(rollout, decision)
  }

  /** Both trees promised under the newest fence, by a report that is at most a lease old. */
  #checkReady(id: string, before: EnvironmentSave['before'], decision: Decision): void {
    const { run, fallback } = decision
    const host = this.#seen.host(id)
    require(host !== undefined, 'all or none', `${id} was counted and does not exist`)
    const isFresh = this.#seen
      .freshOf(id, decision.decidedAt)
      .some(
        (report) =>
          report.ready?.target === decision.stage?.tree &&
          report.ready?.fallback === (fallback?.tree ?? null) &&
          sameFence(report.fence, before.decision?.fence ?? null),
      )
    require(isFresh, 'all or none', `${host.name} was counted without a fresh ready`)
    const isStaged = run !== null && host.disk.holds(run)
    require(isStaged, 'all or none', `${host.name} was counted and has not staged`)
    if (fallback === null || this.#seen.drifted.has(id)) return
    const isOn = sameRelease(host.disk.runs, fallback)
    require(isOn, 'all or none', `${host.name} was counted and is not on the fallback`)
  }

  /** All hosts of all waves are ready before the first, and they are enough. */
  #checkFirst(
    before: EnvironmentSave['before'],
    rollout: Rollout,
    decision: Decision,
    all: readonly Participant[],
  ): void {
    const taking = all.filter((p) => p.state === 'participating')
    for (const { host } of taking) this.#checkReady(host, before, decision)
    const { hostsMin } = rollout.requirement
    const what = `opened with ${taking.length} hosts of ${hostsMin ?? 'all'}`
    require(taking.length >= Math.max(1, hostsMin ?? 1), 'all or none', what)
    if (hostsMin !== null) return
    const asked = Object.values(before.rollout?.participants ?? {})
    const left = asked.find(
      ({ host, state }) =>
        state === 'participating' && rollout.participants[host]?.state === 'left-behind',
    )
    require(left ===
      undefined, 'all or none', `${left?.name} was left behind, and all are required`)
  }

  /** Its word for the target under the decision of the wave before. */
  #checkHealthy(id: string, before: EnvironmentSave['before'], { target }: Rollout): void {
    const has = this.#seen
      .heardOf(id)
      .some(
        ({ report }) =>
          sameFence(report.fence, before.decision?.fence ?? null) &&
          report.phase === 'healthy' &&
          sameRelease(report.current, target),
      )
    const name = this.#seen.nameOf(id)
    require(has, 'all or none', `a wave was opened before ${name} said that it is healthy`)
  }

  #checkOrder(decision: Decision, all: readonly Participant[]): void {
    const wave = decision.wave ?? 0
    const early = all.find((p) => p.counted && p.wave > wave)
    require(early === undefined, 'all or none', `${early?.name} came before its wave`)
    const missed = all.find((p) => !p.counted && p.state === 'participating' && p.wave <= wave)
    require(missed === undefined, 'all or none', `${missed?.name} was passed over`)
  }

  #letGoOn(): void {
    if (this.#rest !== null) this.#rest.isLetGoOn = true
  }

  #checkRest({ id }: Rollout, { decidedAt }: Decision): void {
    const rest = this.#rest
    this.#rest = null
    if (rest === null || rest.rollout !== id || rest.isLetGoOn) return
    const restedMs = decidedAt - rest.since
    const what = `wave ${rest.wave} rested for ${Math.round(restedMs)} ms`
    require(rest.soakMs !== null, 'a rule of the protocol', `${what}, and nobody let it go on`)
    const wantedMs = Math.min(rest.soakMs, limits.pauseDeadlineMs) - 1
    require(restedMs >= wantedMs, 'a rule of the protocol', `${what} of ${rest.soakMs}`)
  }
}
