// The controller's store in memory: what is durable outlives a crash, what was under way may or may
// not, and a backup can be put back. One environment; nothing in it is ever changed in place.

import type { Fact } from '#shared/environment/events.ts'
import type { Rollout } from '#shared/environment/rollout.ts'
import { emptyRecord, type EnvironmentRecord } from '#shared/environment/state.ts'
import type { Fence } from '#shared/fence.ts'
import {
  type EnvironmentSave,
  type EnvironmentStore,
  RevisionConflict,
  type StoredEnvironment,
} from '#controller/runtime/environment-store.ts'
import type { Random } from '../kernel/random.ts'
import type { ProcessClock } from '../kernel/virtual-time.ts'
import type { Faults } from './faults.ts'

export const place = { app: 'shop', environment: 'production' } as const

export interface StorePorts {
  random: Random
  faults: () => Faults
  /** What was saved is durable now, before anybody knows. */
  onDurable: (save: EnvironmentSave) => void
  crash: (saved: 'lost' | 'kept', save: EnvironmentSave) => void
  onFailure: () => void
}

export interface Rows {
  record: EnvironmentRecord
  revision: number
  /** `term.epoch` → hash. */
  decisions: Record<string, string>
  rollouts: Record<string, { rollout: Rollout; startedAt: number }>
  /** Enrolled hosts: id → name. */
  hosts: Record<string, string>
}

export class MemoryStore {
  readonly #ports: StorePorts
  #rows: Rows

  constructor(ports: StorePorts) {
    this.#ports = ports
    const record = emptyRecord(place.app, place.environment)
    this.#rows = { record, revision: 0, decisions: {}, rollouts: {}, hosts: {} }
  }

  /** What is durable now. */
  get record(): EnvironmentRecord {
    return this.#rows.record
  }

  rollout(id: string): Rollout | null {
    return this.#rows.rollouts[id]?.rollout ?? null
  }

  get hosts(): Readonly<Record<string, string>> {
    return this.#rows.hosts
  }

  enrol(host: string, name: string): void {
    this.#rows = { ...this.#rows, hosts: { ...this.#rows.hosts, [host]: name } }
  }

  expel(host: string): void {
    const { [host]: _, ...hosts } = this.#rows.hosts
    this.#rows = { ...this.#rows, hosts }
  }

  backup(): Rows {
    return this.#rows
  }

  /** Who is enrolled stays as it is: hosts that came since are enrolled again by hand. */
  restore(backup: Rows): void {
    this.#rows = { ...backup, hosts: this.#rows.hosts }
  }

  /** As one process of the controller sees it. */
  handleFor(clock: ProcessClock): EnvironmentStore {
    return {
      list: async () => [this.#stored()],
      open: async () => this.#stored(),
      save: (save) => this.#save(save, clock),
      isRecorded: async (_app, _environment, fence) => {
        await clock.sleep(this.#ports.random.between([0, 1]))
        return this.#isRecorded(fence)
      },
      rolloutOfKey: async (_app, _environment, key, since) => {
        const found = Object.values(this.#rows.rollouts).find(
          ({ rollout, startedAt }) => rollout.requestKey === key && startedAt >= since,
        )
        return found?.rollout ?? null
      },
    }
  }

  async #save(save: EnvironmentSave, clock: ProcessClock): Promise<number> {
    const { random, crash, onDurable } = this.#ports
    const faults = this.#ports.faults()
    const isOnce = save.facts.some((fact) => fact.type === 'once-told')
    const crashes = Math.max(faults.storeCrash, isOnce ? faults.onceSaveCrash : 0)
    await clock.sleep(random.between(faults.storeMs))
    if (random.chance(crashes)) {
      crash('lost', save)
      return never()
    }
    if (random.chance(faults.storeFails)) {
      this.#ports.onFailure()
      throw new Error('the disk of the controller is full')
    }
    const { revision } = this.#rows
    if (revision !== save.revision)
      throw new RevisionConflict(`${revision} is not ${save.revision}`)
    this.#rows = withSave(this.#rows, save)
    onDurable(save)
    if (random.chance(crashes)) {
      crash('kept', save)
      return never()
    }
    await clock.sleep(random.between(faults.storeMs))
    return revision + 1
  }

  #isRecorded(fence: Fence): boolean {
    return this.#rows.decisions[`${fence.term}.${fence.epoch}`] === fence.hash
  }

  /** Read as from a row: nothing is shared with what a process before held. */
  #stored(): StoredEnvironment {
    const { record, revision } = this.#rows
    return { record: JSON.parse(JSON.stringify(record)), revision }
  }
}

function withSave(rows: Rows, { after, before, facts, at, revision }: EnvironmentSave): Rows {
  const rollouts = { ...rows.rollouts }
  for (const rollout of [...endedIn(facts), after.rollout]) {
    if (rollout === null || rollout === before.rollout) continue
    const startedAt = rollouts[rollout.id]?.startedAt ?? at
    rollouts[rollout.id] = { rollout, startedAt }
  }
  const decisions = { ...rows.decisions }
  for (const fact of facts) {
    if (fact.type !== 'decided') continue
    const { term, epoch, hash } = fact.decision.fence
    decisions[`${term}.${epoch}`] = hash
  }
  return { ...rows, record: after, revision: revision + 1, decisions, rollouts }
}

function endedIn(facts: readonly Fact[]): readonly Rollout[] {
  return facts.flatMap((fact) => (fact.type === 'rollout-ended' ? [fact.rollout] : []))
}

/** What a process that is gone still waits for. */
async function never<T>(): Promise<T> {
  return new Promise<T>(() => undefined)
}
