// Counts what happened in a world, so that a run can show that it met everything there is to meet.

import type { Fact } from '#shared/environment/events.ts'
import type { Rollout } from '#shared/environment/rollout.ts'
import type { EnvironmentSave } from '#controller/runtime/environment-store.ts'
import type { OnceStage } from '../oracle/once-watch.ts'
import type { Counts } from './faults.ts'

export class Tally {
  readonly #counts: Counts

  constructor(counts: Counts) {
    this.#counts = counts
  }

  fact(fact: Fact): void {
    const counts = this.#counts
    if (fact.type === 'rollout-started') counts.add('rollout')
    if (fact.type === 'recovered') counts.add('recovery')
    if (fact.type === 'host-drained') counts.add('drained')
    if (fact.type === 'host-let-in') counts.add('let in')
    if (fact.type === 'once-told') counts.add('once told')
    if (fact.type === 'once-ended' && fact.run.state !== 'told') {
      counts.add(`once ${fact.run.state}`)
    }
    if (fact.type === 'barrier-opened' && fact.rollout.wave > 0) counts.add('next wave')
    if (fact.type === 'wave-rested' && fact.rollout.between !== null) {
      counts.add(`wave rests: ${fact.rollout.between.step}`)
    }
    if (fact.type === 'rollout-ended') this.#ended(fact.rollout)
  }

  /** A process is gone while a once run is under way. */
  crashed(who: 'agent' | 'controller', stage: OnceStage): void {
    this.#counts.add(`${who} dies, once run ${stage}`)
  }

  /** The controller dies in this save. */
  unsaved({ facts }: EnvironmentSave): void {
    const isOnce = facts.some((fact) => fact.type === 'once-told')
    if (isOnce) this.#counts.add('controller dies, once run unrecorded')
  }

  #ended({ phase, reason, participants, unknown, excluded }: Rollout): void {
    const counts = this.#counts
    const all = Object.values(participants)
    counts.add(phase as 'committed')
    if (reason !== null) counts.add(`ended: ${reason}`)
    if (unknown.length > 0) counts.add('ended with unknown')
    if (phase !== 'committed') return
    if (all.some((p) => p.counted && p.state !== 'participating')) {
      counts.add('committed without all')
    }
    if (all.some((p) => p.state === 'dropped')) counts.add('committed, some dropped')
    if (all.some((p) => p.state === 'left-behind')) counts.add('committed, some left behind')
    if (Object.keys(excluded).length > 0) counts.add('committed, some excluded')
  }
}
