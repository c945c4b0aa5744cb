// One environment's runner among ports that write down what they are asked, in order, and that fail
// or wait when the test says so.

import assert from 'node:assert/strict'
import { type EnvironmentPorts, EnvironmentRunner } from '#controller/runtime/environment-runner.ts'
import type {
  EnvironmentSave,
  EnvironmentStore,
  StoredEnvironment,
} from '#controller/runtime/environment-store.ts'
import type { Desired } from '#shared/desired.ts'
import type { Rollout } from '#shared/environment/rollout.ts'
import { emptyRecord, type EnvironmentRecord } from '#shared/environment/state.ts'
import type { Fence } from '#shared/fence.ts'
import type { Report } from '#shared/report.ts'
import { mistakeOf } from '#shared/wire/desired-rules.ts'
import { FakeClock } from './fake-clock.ts'
import { one, reportOf, shop } from './fleet-facts.ts'

export class MemoryStore implements EnvironmentStore {
  readonly log: string[]
  stored: StoredEnvironment
  /** Thrown by every save until it is taken away. */
  failure: Error | null = null
  /** What a save or a question waits for, if anything. */
  gate: Promise<void> | null = null
  readonly keys = new Map<string, Rollout>()
  readonly fences: Fence[] = []

  constructor(log: string[], record: EnvironmentRecord) {
    this.log = log
    this.stored = { record, revision: 0 }
  }

  async list(): Promise<readonly StoredEnvironment[]> {
    return [this.stored]
  }

  async open(app: string, environment: string): Promise<StoredEnvironment> {
    const { record } = this.stored
    if (record.app === app && record.environment === environment) return this.stored
    return { record: emptyRecord(app, environment), revision: 0 }
  }

  async save({ after, facts, revision }: EnvironmentSave): Promise<number> {
    await this.gate
    if (this.failure !== null) {
      this.log.push('save failed')
      throw this.failure
    }
    this.stored = { record: after, revision: revision + 1 }
    for (const fact of facts) if (fact.type === 'decided') this.fences.push(fact.decision.fence)
    this.log.push(`saved ${[after.rollout?.phase, ...facts.map((f) => f.type)].join(' ')}`)
    return revision + 1
  }

  async isRecorded(_app: string, _environment: string, fence: Fence): Promise<boolean> {
    await this.gate
    return this.fences.some((known) => JSON.stringify(known) === JSON.stringify(fence))
  }

  async rolloutOfKey(_app: string, _environment: string, key: string): Promise<Rollout | null> {
    return this.keys.get(key) ?? null
  }
}

export class EnvironmentWorld {
  readonly log: string[] = []
  readonly clock = new FakeClock()
  readonly store: MemoryStore
  readonly conflicts: Error[] = []
  readonly told: { host: string; session: number; desired: Desired }[] = []

  constructor(record: EnvironmentRecord = emptyRecord(shop.app, shop.environment)) {
    this.store = new MemoryStore(this.log, record)
  }

  readonly ports = (): EnvironmentPorts => ({
    store: this.store,
    clock: this.clock,
    tell: (host, session, desired) => {
      assert.equal(mistakeOf(desired), null)
      this.log.push(`told ${host} ${desired.kind} ${desired.fence.epoch}`)
      this.told.push({ host, session, desired })
    },
    onChange: () => undefined,
    onUnsaved: () => this.log.push('unsaved'),
    onConflict: (error) => this.conflicts.push(error),
  })

  start(): Promise<EnvironmentRunner> {
    return EnvironmentRunner.start(this.store.stored, this.ports())
  }

  /** A host that says it bears the newest decision, or what the test says. */
  async report(
    runner: EnvironmentRunner,
    host: string,
    changes: Partial<Report> = {},
    session = 1,
  ): Promise<void> {
    const fence = runner.state.record.decision?.fence ?? null
    const seq = (runner.state.sessions[host]?.report.seq ?? 0) + 1
    await runner.report(host, session, reportOf({ seq, fence, ...changes }))
    await runner.idle()
  }

  /** What was written down since the last call. */
  news(): readonly string[] {
    return this.log.splice(0)
  }
}

export const readyForOne = {
  phase: 'ready',
  ready: { target: one.tree, fallback: null },
} as const satisfies Partial<Report>
