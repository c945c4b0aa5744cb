// A fleet on paper for the tests of the controller's machine: three hosts, what they report, and a
// clock that only moves when it is told to. Every step passes the invariants.

import type {
  Answer,
  EnvironmentEvent,
  EventOf,
  EventType,
  Fact,
  RolloutRequest,
  Step,
} from '#shared/environment/events.ts'
import { checkEnvironmentInvariants } from '#shared/environment/invariants.ts'
import { resume } from '#shared/environment/resume.ts'
import type { Rollout } from '#shared/environment/rollout.ts'
import {
  emptyRecord,
  type EnvironmentState,
  machinePhaseOf,
  nextDeadlineAt,
} from '#shared/environment/state.ts'
import { desiredOf } from '#shared/environment/tell.ts'
import { transition } from '#shared/environment/transition.ts'
import type { Fence } from '#shared/fence.ts'
import type { Release } from '#shared/release.ts'
import { type Declares, declaresNothing, type OnceRun, type Report } from '#shared/report.ts'

export const v1: Release = { version: 'v1', tree: '1'.repeat(64) }
export const v2: Release = { version: 'v2', tree: '2'.repeat(64) }
export const v3: Release = { version: 'v3', tree: '3'.repeat(64) }

type Without<T, K extends keyof T> = Omit<T, K>
type Loose<T extends EventType> = Without<EventOf<T>, 'type' | 'at'> & { at?: number }

export class Fleet {
  state: EnvironmentState = { record: emptyRecord('shop', 'production'), sessions: {} }
  at = 1_000_000
  /** Everything that was recorded, and the facts of the last step. */
  readonly facts: Fact[] = []
  last: Step = { state: this.state, facts: [], effects: [] }
  /** What hosts declare beside nothing, and the once run that each has in its journal. */
  readonly declares: Record<string, Partial<Declares>> = {}
  readonly onceRuns: Record<string, OnceRun> = {}
  #ticket = 0
  #seq = 0

  constructor(hosts: readonly string[] = ['a', 'b', 'c']) {
    for (const host of hosts) this.apply('host-joined', { host, name: host })
  }

  /** Hosts have committed v1 and say so. */
  static committed(hosts?: readonly string[]): Fleet {
    const fleet = new Fleet(hosts)
    fleet.deploy(v1)
    fleet.everybody('ready')
    fleet.everybody('healthy')
    fleet.everybody('healthy')
    return fleet
  }

  get record() {
    return this.state.record
  }

  get phase() {
    return machinePhaseOf(this.record)
  }

  get rollout(): Rollout {
    const { rollout } = this.record
    if (rollout === null) throw new Error('no rollout was ever started')
    return rollout
  }

  get fence(): Fence | null {
    return this.record.decision?.fence ?? null
  }

  get answer(): Answer | null {
    return this.last.effects.flatMap((e) => (e.type === 'answer' ? [e.answer] : []))[0] ?? null
  }

  /** The code of a refusal, or the outcome. */
  get said(): string | null {
    const { answer } = this
    return answer?.outcome === 'refused' ? answer.code : (answer?.outcome ?? null)
  }

  /** What the last step decided. */
  get decided(): readonly string[] {
    return this.last.facts.flatMap((f) => (f.type === 'decided' ? [f.decision.kind] : []))
  }

  apply<T extends EventType>(type: T, args: Loose<T>): Step {
    const event = { type, at: this.at, ...args } as unknown as EnvironmentEvent
    const before = this.state
    const step = transition(before, event)
    checkEnvironmentInvariants(before, event, step)
    this.state = step.state
    this.facts.push(...step.facts)
    this.last = step
    return step
  }

  deploy(release: Release, request: Partial<RolloutRequest> = {}): Step {
    this.#ticket += 1
    return this.apply('release-desired', {
      ticket: this.#ticket,
      request: {
        id: `rollout-${this.#ticket}`,
        release,
        requirement: { kind: 'all', value: 0 },
        waitMs: 60_000,
        exclude: {},
        allowEmpty: false,
        waves: [],
        once: null,
        force: false,
        requestedBy: 'test',
        requestKey: null,
        ...request,
      },
    })
  }

  cancel(rollout: string | null = null): Step {
    this.#ticket += 1
    return this.apply('cancel-requested', { ticket: this.#ticket, rollout })
  }

  goOn(rollout: string | null = null): Step {
    this.#ticket += 1
    return this.apply('continue-requested', { ticket: this.#ticket, rollout })
  }

  pause(rollout: string | null = null): Step {
    this.#ticket += 1
    return this.apply('pause-requested', { ticket: this.#ticket, rollout })
  }

  drain(host: string, reason: string | null): Step {
    this.#ticket += 1
    return this.apply('drain-requested', { ticket: this.#ticket, host, reason })
  }

  /** The elected host's once run has come to this, under the newest fence unless it was before. */
  runs(host: string, state: OnceRun['state'], fence = this.fence): Step {
    if (fence === null) throw new Error('nothing was decided yet')
    const tree = this.rollout.target.tree
    const message = state === 'failed' ? 'as the test has it' : null
    this.onceRuns[host] = { fence, tree, state, message }
    return this.hears(host, 'fetching')
  }

  recover(run: Release | null): Step {
    this.#ticket += 1
    return this.apply('recover-requested', { ticket: this.#ticket, run })
  }

  /** The host says this, under the newest fence unless the patch has another. */
  hears(host: string, word: Word, patch: Partial<Report> = {}, session = 1): Step {
    return this.apply('host-reported', this.reported(host, word, patch, session))
  }

  reported(host: string, word: Word, patch: Partial<Report> = {}, session = 1) {
    this.#seq += 1
    const report = { ...this.#report(host, word), seq: this.#seq, ...patch }
    return { host, session, report, recorded: true }
  }

  everybody(word: Word): void {
    for (const host of Object.keys(this.record.members)) this.hears(host, word)
  }

  /** Time goes on, and a deadline that comes is judged. */
  pass(durationMs: number): void {
    this.at += durationMs
    const deadlineAt = nextDeadlineAt(this.record)
    if (deadlineAt !== null && deadlineAt <= this.at) this.apply('deadline-passed', {})
  }

  /** To the deadline; whoever is named keeps reporting what it said last. */
  toDeadline(): void {
    this.at = nextDeadlineAt(this.record) ?? this.at
  }

  judge(): Step {
    return this.apply('deadline-passed', {})
  }

  /** The controller starts again from what was saved. */
  restart(): Step {
    const before: EnvironmentState = { record: this.record, sessions: {} }
    const step = resume(this.record, this.at)
    checkEnvironmentInvariants(before, { type: 'resumed', at: this.at }, step)
    this.state = step.state
    this.facts.push(...step.facts)
    this.last = step
    return step
  }

  told(host: string) {
    return desiredOf(this.record, host)
  }

  #report(host: string, word: Word): Report {
    const { rollout } = this.record
    const fallback = rollout?.fallback ?? null
    const target = rollout?.target ?? null
    const runs = this.record.committed
    const base: Report = {
      seq: 0,
      fence: this.fence,
      phase: 'idle',
      failure: null,
      current: runs,
      standing: runs === null ? 'before' : 'run',
      ready: null,
      progress: null,
      activation: null,
      conflict: null,
      clock: { roundTripMs: 1, errorMs: 0.5 },
      serving: true,
      declares: { ...declaresNothing, ...this.declares[host] },
      once: this.onceRuns[host] ?? null,
    }
    const swapped = { activatedAt: this.at, errorMs: 0.5, mode: 'timed' as const }
    switch (word) {
      case 'idle':
        return base
      case 'fetching':
        return { ...base, phase: 'fetching' }
      case 'ready': {
        const ready = { target: target?.tree ?? '', fallback: fallback?.tree ?? null }
        const standing = fallback === null ? 'before' : 'run'
        return { ...base, phase: 'ready', current: fallback, standing, ready }
      }
      case 'active':
      case 'healthy':
        return { ...base, phase: word, current: target, standing: 'run', activation: swapped }
      case 'back':
        return fallback === null
          ? { ...base, current: null, standing: 'before' }
          : { ...base, phase: 'healthy', current: fallback, standing: 'run' }
      case 'kept':
        return { ...base, current: target, standing: 'kept' }
      case 'failed': {
        const failure = { code: 'activate-failed' as const, message: 'as the test has it' }
        return { ...base, phase: 'failed', failure }
      }
    }
  }
}

/** What a host says of itself in one word. */
export type Word = 'idle' | 'fetching' | 'ready' | 'active' | 'healthy' | 'back' | 'kept' | 'failed'
