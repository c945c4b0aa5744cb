// Judges every end of a rollout as it becomes durable: that it is what the hosts say and what their
// disks say, and that it names everybody.

import type { Decision } from '#shared/environment/decision.ts'
import type { Fact } from '#shared/environment/events.ts'
import { exitCodeOf, type Participant, type Rollout } from '#shared/environment/rollout.ts'
import type { EnvironmentRecord } from '#shared/environment/state.ts'
import type { EnvironmentSave } from '#controller/runtime/environment-store.ts'
import { sameFence } from '#shared/fence.ts'
import { sameRelease } from '#shared/release.ts'
import type { Seen } from './seen.ts'
import { require } from './violation.ts'

export class EndCheck {
  readonly #seen: Seen
  /** `rollout host` of those that an event has dropped. */
  readonly #dropped = new Set<string>()

  constructor(seen: Seen) {
    this.#seen = seen
  }

  recorded(fact: Fact): void {
    if (fact.type === 'host-dropped') this.#dropped.add(`${fact.rollout.id} ${fact.host}`)
  }

  /** It rests on the newest decision before it. */
  ended(rollout: Rollout, { before, after }: EnvironmentSave): void {
    const { decision } = before
    const counted = Object.values(rollout.participants).filter((p) => p.counted)
    const remaining = counted.filter((p) => p.state === 'participating')
    const known = remaining.filter((p) => !rollout.unknown.includes(p.host))
    if (rollout.phase !== 'aborted') {
      for (const participant of known) {
        this.#checkWord(participant, rollout, decision)
        this.#checkDisk(participant.host, rollout)
      }
    }
    if (rollout.phase === 'committed') this.#checkCommitted(rollout, counted, remaining, decision)
    this.#checkNames(rollout, before, after)
    const exitCode = exitCodeOf(rollout)
    const { unknown } = rollout
    if (exitCode === 3) require(unknown.length === 0, 'no lies', 'exit 3 with hosts unknown')
    if (exitCode === 0) require(known.length === remaining.length, 'no lies', 'exit 0 and unknown')
    if (exitCode !== 4 || rollout.reason === 'recovered') return
    require(counted.length === 0, 'no lies', 'aborted after a host was told to activate')
  }

  /** The host itself has said it, under the decision that the end rests on. */
  #checkWord({ host, name }: Participant, rollout: Rollout, decision: Decision | null): void {
    const { phase, target, fallback } = rollout
    const way = phase === 'committed' ? target : fallback
    const has = this.#seen.heardOf(host).some(({ report }) => {
      if (!sameFence(report.fence, decision?.fence ?? null)) return false
      if (way === null) return report.standing === 'before' || report.standing === 'kept'
      // Going back waits for no gate: what ran before has passed its own.
      const isActive = phase !== 'committed' && report.phase === 'active'
      return (isActive || report.phase === 'healthy') && sameRelease(report.current, way)
    })
    require(has, 'no lies', `${phase} without the word of ${name}`)
  }

  #checkDisk(id: string, { phase, target, fallback }: Rollout): void {
    const host = this.#seen.host(id)
    if (host === undefined || this.#seen.drifted.has(id)) return
    const { runs, link } = host.disk
    const where = `${host.name} is on ${link ?? 'nothing'}`
    if (phase === 'committed') {
      require(sameRelease(runs, target), 'no lies', `committed, and ${where}`)
    }
    if (phase === 'rolled-back' && fallback !== null) {
      require(sameRelease(runs, fallback), 'no lies', `rolled back, and ${where}`)
    }
    const origin = this.#seen.origins.get(id)
    const isWayBack = phase === 'rolled-back' || phase === 'failed'
    if (origin === undefined || fallback !== null || !isWayBack) return
    const isBack = link === origin || (phase === 'failed' && origin === null)
    require(isBack, 'no lies', `${phase}, and ${where}`)
  }

  /** Enough of them, every wave, and nobody with a gate that does not pass. */
  #checkCommitted(
    rollout: Rollout,
    counted: readonly Participant[],
    remaining: readonly Participant[],
    decision: Decision | null,
  ): void {
    const { participants, requirement, target } = rollout
    if (counted.length === 0) return
    const floor = Math.max(1, requirement.hostsMin ?? counted.length)
    const what = `committed with ${remaining.length} hosts of ${floor}`
    require(remaining.length >= floor, 'no lies', what)
    const waiting = Object.values(participants).find(
      (p) => p.state === 'participating' && !p.counted,
    )
    require(waiting ===
      undefined, 'no lies', `committed, and the wave of ${waiting?.name} never came`)
    const decidedMs = (decision?.decidedAt ?? 0) - this.#seen.parts.epochMs()
    for (const { host, name } of remaining) {
      const since = this.#seen.host(host)?.steps.unhealthySince(target.version) ?? null
      const isFine = since === null || since > decidedMs
      require(isFine, 'no lies', `committed, and ${name} is unhealthy with ${target.version}`)
    }
  }

  /** Everybody is accounted for: took part, left behind, dropped, removed, or holding. */
  #checkNames(rollout: Rollout, before: EnvironmentRecord, after: EnvironmentRecord): void {
    const { participants, id, phase, reason, unknown } = rollout
    const endedAt = rollout.phases.at(-1)?.at ?? 0
    // As it was while it was open: the request that superseded it may exclude others.
    const held = { ...before.excluded, ...before.drained, ...rollout.excluded }
    const missing = Object.values(after.members).find(
      ({ host }) => !(host in participants || host in held),
    )
    require(missing === undefined, 'no lies', `${phase}, and nothing is said of ${missing?.name}`)
    for (const p of Object.values(participants)) {
      if (p.state === 'dropped') {
        const isNamed = this.#dropped.has(`${id} ${p.host}`)
        require(isNamed, 'no lies', `${p.name} was dropped without a word`)
      }
      if (p.state === 'left-behind') {
        require(!p.counted, 'no lies', `${p.name} was left behind after it was told to activate`)
      }
      if (reason === 'recovered') continue
      require(p.endPhase !== null, 'no lies', `nothing is said of how ${p.name} stands at the end`)
      if (p.endPhase === 'unknown') continue
      const isHeard = this.#seen.freshOf(p.host, endedAt).length > 0
      require(isHeard, 'no lies', `${p.name} is ${p.endPhase} at the end, and nobody heard it`)
    }
    const strangers = unknown.filter((host) => participants[host]?.counted !== true)
    require(strangers.length === 0, 'no lies', `${strangers.join()} unknown, and not counted`)
  }
}
