// Runs the machine of one environment: events in, saved before anything acts, agents told after.
// The only writer of its environment.

import type { Clock } from '#shared/clock.ts'
import { desiredOf } from '#shared/environment/tell.ts'
import type {
  Answer,
  EnvironmentEvent,
  EventOf,
  RolloutRequest,
  Step,
} from '#shared/environment/events.ts'
import { checkEnvironmentInvariants } from '#shared/environment/invariants.ts'
import { resume } from '#shared/environment/resume.ts'
import type { Rollout } from '#shared/environment/rollout.ts'
import { type EnvironmentState, nextDeadlineAt } from '#shared/environment/state.ts'
import { transition } from '#shared/environment/transition.ts'
import { LockstepError } from '#shared/errors.ts'
import type { Desired } from '#shared/desired.ts'
import { sameFence } from '#shared/fence.ts'
import { limits } from '#shared/limits.ts'
import { MachineRunner } from '#shared/machine-runner.ts'
import type { Release } from '#shared/release.ts'
import type { Report } from '#shared/report.ts'
import type { Author } from '../access/audit.ts'
import { auditOf, type Requested } from './environment-audit.ts'
import { KeyedTurns } from './keyed-turns.ts'
import { isStart } from './rehearsal.ts'
import {
  type EnvironmentStore,
  RevisionConflict,
  type StoredEnvironment,
} from './environment-store.ts'

export interface EnvironmentPorts {
  store: EnvironmentStore
  clock: Clock
  /**
   * Sends a host its desired state in the session whose report was checked, if that is still its
   * newest; a loss is healed by the next report.
   */
  tell: (host: string, session: number, desired: Desired) => void
  /** Something that people see has changed. */
  onChange: (state: EnvironmentState) => void
  /** The event was not saved and did not happen; it comes again by itself or was answered. */
  onUnsaved: (error: unknown) => void
  /** Another writer is at this environment: the process must not go on. */
  onConflict: (error: RevisionConflict) => void
}

/** How soon that is tried again which could not be saved and does not come again by itself. */
const saveRetryMs = 1000

interface Asked {
  readonly author: Author
  readonly mayStart: boolean
}

type Ticketed = Extract<EnvironmentEvent, { ticket: number }>
type Membership = EventOf<'host-joined' | 'host-removed'>

export class EnvironmentRunner {
  readonly #ports: EnvironmentPorts
  readonly #runner: MachineRunner<EnvironmentState, EnvironmentEvent, Step>
  readonly #waiting = new Map<number, PromiseWithResolvers<Answer> & Asked>()
  #revision: number
  #ticket = 0
  /** The last that was wanted of each host, and those of which it is not saved yet. */
  readonly #wanted = new Map<string, Membership>()
  readonly #unsaved = new Set<string>()
  #cancelRetry: (() => void) | null = null
  /** The newest session of each host that is known to have ended. */
  readonly #ended = new Map<string, number>()
  /** By Idempotency-Key. */
  readonly #turns = new KeyedTurns()
  #armed: { at: number; cancel: () => void } | null = null
  #stopped = false

  private constructor(ports: EnvironmentPorts, state: EnvironmentState, revision: number) {
    this.#ports = ports
    this.#revision = revision
    this.#runner = new MachineRunner(state, {
      transition: (before, event) => {
        const step = transition(before, event)
        checkEnvironmentInvariants(before, event, step)
        return step
      },
      save: (step, before, event) => this.#save(step, before, event),
      perform: (step) => this.#perform(step),
      onUnsaved: (event, error) => this.#failed(event, error),
    })
  }

  /** Takes up what was stored; what follows from having been away is saved before this resolves. */
  static async start(
    stored: StoredEnvironment,
    ports: EnvironmentPorts,
  ): Promise<EnvironmentRunner> {
    const at = ports.clock.now()
    const step = resume(stored.record, at)
    const before: EnvironmentState = { record: stored.record, sessions: {} }
    checkEnvironmentInvariants(before, { type: 'resumed', at }, step)
    const runner = new EnvironmentRunner(ports, step.state, stored.revision)
    await runner.#save(step, before, null)
    runner.#perform(step)
    return runner
  }

  get state(): EnvironmentState {
    return this.#runner.state
  }

  /**
   * A host's report, as the first or a later message of its session. The first report of a session
   * is checked before the host is told anything.
   */
  async report(host: string, session: number, report: Report): Promise<void> {
    const recorded = await this.#isRecorded(report)
    // It may have ended meanwhile; nobody would ever close it again.
    if ((this.#ended.get(host) ?? 0) >= session) return
    this.#enqueue({ type: 'host-reported', at: this.#now(), host, session, report, recorded })
  }

  closeSession(host: string, session: number): void {
    this.#ended.set(host, Math.max(session, this.#ended.get(host) ?? 0))
    this.#enqueue({ type: 'session-closed', at: this.#now(), host, session })
  }

  join(host: string, name: string): void {
    this.#want({ type: 'host-joined', at: this.#now(), host, name })
  }

  /** Nothing where it is no member and was never to be one: most hosts serve a few environments. */
  remove(host: string): void {
    if (this.state.record.members[host] === undefined && !this.#wanted.has(host)) return
    this.#want({ type: 'host-removed', at: this.#now(), host })
  }

  /**
   * Sets the desired release. A repeat with the same key within 24 h is answered with the rollout
   * that the first one started.
   * @param mayStart false where it was to start nothing: then it starts nothing, whatever came between
   * @throws LockstepError `key-reused` when the key came with another release before; `busy`
   */
  desire(request: RolloutRequest, author: Requested, mayStart = true): Promise<Answer> {
    // A repeat that comes while the first is still being saved finds it only when it is.
    const { id, requestKey } = request
    return this.#turns.take(requestKey ?? id, () => this.#desire(request, { author, mayStart }))
  }

  async #desire(request: RolloutRequest, asked: Asked): Promise<Answer> {
    const { tree } = request.release
    const first = await this.firstOf(request.requestKey, ({ target }) => target.tree === tree)
    if (first !== null) return { outcome: 'open', rollout: first }
    return this.#put(asked, (ticket, at) => ({ type: 'release-desired', at, ticket, request }))
  }

  /**
   * The rollout that a request with this key started within 24 h, null for the first of its key.
   * @throws LockstepError `key-reused` when that is not the same request
   */
  async firstOf(
    requestKey: string | null,
    isSame: (rollout: Rollout) => boolean,
  ): Promise<Rollout | null> {
    if (requestKey === null) return null
    const { app, environment } = this.state.record
    const since = this.#now() - limits.idempotencyMs
    const first = await this.#ports.store.rolloutOfKey(app, environment, requestKey, since)
    if (first === null || isSame(first)) return first
    throw new LockstepError('key-reused', 'this Idempotency-Key was used for another release', {
      hint: 'Draw a new key for a new request.',
    })
  }

  cancel(rollout: string | null, author: Author): Promise<Answer> {
    return this.#ask(author, (ticket, at) => ({ type: 'cancel-requested', at, ticket, rollout }))
  }

  /** Lets the next wave come. @param rollout its id; null for whichever is open */
  goOn(rollout: string | null, author: Author): Promise<Answer> {
    return this.#ask(author, (ticket, at) => ({ type: 'continue-requested', at, ticket, rollout }))
  }

  /** No further wave before somebody lets it go on. @param rollout null for whichever is open */
  pause(rollout: string | null, author: Author): Promise<Answer> {
    return this.#ask(author, (ticket, at) => ({ type: 'pause-requested', at, ticket, rollout }))
  }

  /** Takes a host out, or lets it in again where the reason is null. */
  drain(host: string, reason: string | null, author: Author): Promise<Answer> {
    return this.#ask(author, (ticket, at) => ({
      type: 'drain-requested',
      at,
      ticket,
      host,
      reason,
    }))
  }

  recover(run: Release | null, author: Author): Promise<Answer> {
    return this.#ask(author, (ticket, at) => ({ type: 'recover-requested', at, ticket, run }))
  }

  idle(): Promise<void> {
    return this.#runner.idle()
  }

  stop(): void {
    this.#stopped = true
    this.#runner.stop()
    this.#armed?.cancel()
    this.#armed = null
    this.#cancelRetry?.()
    for (const waiting of this.#waiting.values()) waiting.reject(stopping())
    this.#waiting.clear()
  }

  #now(): number {
    return this.#ports.clock.now()
  }

  #enqueue(event: EnvironmentEvent): void {
    this.#runner.enqueue(event)
  }

  #want(event: Membership): void {
    this.#wanted.set(event.host, event)
    this.#unsaved.delete(event.host)
    this.#enqueue(event)
  }

  /** Nobody says it twice, so what could not be saved is made up for, unless it was taken back. */
  #wantAgainLater(event: Membership): void {
    if (this.#wanted.get(event.host) !== event) return
    this.#unsaved.add(event.host)
    this.#cancelRetry ??= this.#ports.clock.timer(this.#now() + saveRetryMs, () => {
      this.#cancelRetry = null
      for (const host of this.#unsaved) {
        const wanted = this.#wanted.get(host)
        // At its new time: no judgement rests on an instant that has passed.
        if (wanted !== undefined) this.#want({ ...wanted, at: this.#now() })
      }
    })
  }

  #ask(author: Author, eventOf: (ticket: number, at: number) => Ticketed): Promise<Answer> {
    return this.#put({ author, mayStart: true }, eventOf)
  }

  #put(asked: Asked, eventOf: (ticket: number, at: number) => Ticketed): Promise<Answer> {
    if (this.#stopped) return Promise.reject(stopping())
    this.#ticket += 1
    const waiting = Promise.withResolvers<Answer>()
    this.#waiting.set(this.#ticket, { ...waiting, ...asked })
    this.#enqueue(eventOf(this.#ticket, this.#now()))
    return waiting.promise
  }

  async #isRecorded(report: Report): Promise<boolean> {
    const { record } = this.state
    if (report.fence === null || sameFence(report.fence, record.decision?.fence ?? null))
      return true
    return this.#ports.store.isRecorded(record.app, record.environment, report.fence)
  }

  async #save(step: Step, before: EnvironmentState, event: EnvironmentEvent | null): Promise<void> {
    const after = step.state.record
    if (after === before.record && step.facts.length === 0) return
    const waiting =
      event !== null && 'ticket' in event ? this.#waiting.get(event.ticket) : undefined
    // Its consent was judged for another state; here alone nothing can come between.
    if (waiting?.mayStart === false && isStart(before, step)) throw overtaken()
    this.#revision = await this.#ports.store.save({
      before: before.record,
      after,
      facts: step.facts,
      audit: auditOf(event, waiting?.author ?? null, step),
      revision: this.#revision,
      at: this.#now(),
    })
  }

  #perform(step: Step): void {
    for (const effect of step.effects) {
      switch (effect.type) {
        case 'tell':
          this.#tell(step.state, effect.host)
          break
        case 'tell-all':
          for (const host of Object.keys(step.state.record.members)) this.#tell(step.state, host)
          break
        case 'answer':
          this.#waiting.get(effect.ticket)?.resolve(effect.answer)
          this.#waiting.delete(effect.ticket)
          break
      }
    }
    this.#arm(nextDeadlineAt(step.state.record))
    this.#ports.onChange(step.state)
  }

  /** Nothing is told to a session whose first report was not checked yet. */
  #tell(state: EnvironmentState, host: string): void {
    const desired = desiredOf(state.record, host)
    const view = state.sessions[host]
    if (desired !== null && view?.open === true) this.#ports.tell(host, view.session, desired)
  }

  #arm(at: number | null): void {
    if (this.#armed?.at === at) return
    this.#armed?.cancel()
    this.#armed = null
    if (at === null) return
    const cancel = this.#ports.clock.timer(at, () => {
      this.#armed = null
      this.#enqueue({ type: 'deadline-passed', at: this.#now() })
    })
    this.#armed = { at, cancel }
  }

  #failed(event: EnvironmentEvent, error: unknown): void {
    if (error instanceof RevisionConflict) {
      this.stop()
      this.#ports.onConflict(error)
      return
    }
    const isRefusal =
      error instanceof LockstepError && /^(?:busy|unknown-version)$/.test(error.code)
    if (!isRefusal) this.#ports.onUnsaved(error)
    if ('ticket' in event) {
      const cause = { cause: error, hint: 'Nothing was changed. Look at the disk, then try again.' }
      const unsaved = new LockstepError('busy', 'the controller could not save the request', cause)
      this.#waiting.get(event.ticket)?.reject(isRefusal ? error : unsaved)
      this.#waiting.delete(event.ticket)
    }
    if (event.type === 'deadline-passed') this.#arm(this.#now() + saveRetryMs)
    if (event.type === 'host-joined' || event.type === 'host-removed') this.#wantAgainLater(event)
  }
}

function overtaken(): LockstepError {
  return new LockstepError('busy', 'the environment changed while the request was looked at', {
    hint: 'Nothing was started. Ask again.',
  })
}

function stopping(): LockstepError {
  return new LockstepError('busy', 'the controller is stopping', { hint: 'Ask again in a moment.' })
}
