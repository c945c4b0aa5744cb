// One host on paper for the tests of the agent's machine: what it is told, what its disk says and
// what it starts. Every step passes the invariants.

import type {
  ActivationEffect,
  ActivationEvent,
  Step,
  StepOutcome,
} from '#shared/activation/events.ts'
import { checkActivationInvariants } from '#shared/activation/invariants.ts'
import { observe } from '#shared/activation/observe.ts'
import {
  type ActivationState,
  type Current,
  type Disk,
  emptyJournal,
  type HostConfig,
  type Journal,
  startedState,
} from '#shared/activation/state.ts'
import { resume, transition } from '#shared/activation/transition.ts'
import type { Desired } from '#shared/desired.ts'
import type { Fence } from '#shared/fence.ts'
import type { Release } from '#shared/release.ts'
import { declaresNothing, type Failure } from '#shared/report.ts'

export const v1: Release = { version: 'v1', tree: '1'.repeat(64) }
export const v2: Release = { version: 'v2', tree: '2'.repeat(64) }
export const v3: Release = { version: 'v3', tree: '3'.repeat(64) }

export function fence(epoch: number, hash = 'f'): Fence {
  return { term: 1, epoch, hash: hash.repeat(64) }
}

export function linkTo(release: Release): Current {
  return { kind: 'release', version: release.version, link: `versions/${release.version}` }
}

export const failure = { code: 'disk-error', message: 'as the test has it' } as const

export const plain: HostConfig = { declares: declaresNothing, drift: 'repair' }
/** Of a host whose configuration declares a once run. */
export const elected: HostConfig = {
  ...plain,
  declares: { ...declaresNothing, once: 'd'.repeat(64), onceMs: 600_000 },
}

/** Trials pass as soon as they are asked for, or each is ended by the test. */
export type Trials = 'at once' | 'by hand'

interface Told {
  kind: Desired['kind']
  run?: Release | null
  fallback?: Release | null
  stage?: Release | null
  activateAt?: number | null
  hold?: boolean
  once?: boolean
  drain?: boolean
  at?: Fence
}

export class Host {
  state: ActivationState
  disk: Disk
  last: readonly ActivationEffect[] = []
  session = 1
  #epoch = 1
  readonly #trials: Trials

  constructor(
    journal: Journal,
    disk: Disk,
    {
      serving = false,
      trials = 'at once',
      config = plain,
    }: { serving?: boolean; trials?: Trials; config?: HostConfig } = {},
  ) {
    this.disk = disk
    this.#trials = trials
    this.state = startedState(journal, disk, serving, config)
    this.#take({ type: 'resumed' }, resume(this.state))
    this.#pass()
  }

  /** Never heard of a controller. `link` is what somebody else has put at `current`. */
  static fresh(link: string | null = null): Host {
    const current: Current = link === null ? { kind: 'none' } : { kind: 'foreign', link }
    const host = new Host(emptyJournal, { current, held: [], hold: null })
    host.apply({ type: 'session-opened', session: 1 })
    return host
  }

  /** v1 is committed, runs, was attested and serves; a session is open. */
  static running(trials: Trials = 'at once', config: HostConfig = plain): Host {
    const told = desired(fence(1), { kind: 'settle', run: v1 })
    const journal = { ...emptyJournal, fence: told.fence, told }
    const disk = { current: linkTo(v1), held: [v1], hold: null }
    const host = new Host(journal, disk, { serving: true, trials, config })
    host.attests()
    if (host.state.trial !== null) host.passes()
    host.apply({ type: 'session-opened', session: 1 })
    return host
  }

  get said() {
    return observe(this.state)
  }

  /** The effects of the last event, in words. */
  get does(): readonly string[] {
    return this.last.map(wordOf)
  }

  /** Started again from what was saved: the journal and the disk. */
  restart(): Host {
    const { journal, serving, config } = this.state
    return new Host(journal, this.disk, { serving, config, trials: this.#trials })
  }

  apply(event: ActivationEvent): this {
    this.#take(event, transition(this.state, event))
    this.#pass()
    return this
  }

  /** Under the next epoch, unless `at` is given. */
  told(told: Told): this {
    if (told.at === undefined)
      this.#epoch = Math.max(this.#epoch, this.state.journal.fence?.epoch ?? 0) + 1
    const at = told.at ?? fence(this.#epoch)
    return this.apply({
      type: 'desired-received',
      session: this.session,
      desired: desired(at, told),
    })
  }

  /** Everything that is under way is found whole, unless it is named. */
  attests(drifted: readonly Release[] = []): this {
    const { acting } = this.state
    if (acting?.kind !== 'attest') throw new Error('no attest is under way')
    const results = acting.releases.map((release) => ({
      version: release.version,
      result: drifted.includes(release) ? ('drifted' as const) : ('whole' as const),
    }))
    return this.apply({ type: 'attest-ended', fence: acting.fence, results })
  }

  stages(): this {
    const { staging } = this.state
    if (staging === null) throw new Error('nothing is being staged')
    this.disk = { ...this.disk, held: [...this.disk.held, staging.release] }
    const { release } = staging
    return this.apply({
      type: 'stage-ended',
      release,
      outcome: { kind: 'staged' },
      disk: this.disk,
    })
  }

  /** `activateAt` comes. */
  comes(): this {
    const { fence: held } = this.state.journal
    if (held === null) throw new Error('nothing was told yet')
    return this.apply({ type: 'activation-due', fence: held })
  }

  /** The rename that was asked for happens. */
  swaps(): this {
    const effect = this.last.find((one) => one.type === 'swap')
    if (effect?.type !== 'swap') throw new Error('no swap was asked for')
    const { target } = effect
    const current: Current =
      target.kind === 'release' ? linkTo(target.release) : { kind: 'foreign', link: target.link }
    this.disk = { ...this.disk, current }
    const activation = { activatedAt: 1, errorMs: 1, mode: 'timed' as const }
    const outcome = { kind: 'swapped' as const, activation }
    return this.apply({ type: 'swap-ended', fence: effect.fence, outcome, disk: this.disk })
  }

  reloads(): this {
    const { acting } = this.state
    if (acting?.kind !== 'reload') throw new Error('no reload is under way')
    return this.apply({ type: 'reload-ended', fence: acting.fence, outcome: { kind: 'done' } })
  }

  /** The trial that is under way ends well. */
  passes(): this {
    return this.#endTrial({ kind: 'done' })
  }

  /** It ends badly, as it also does when it was stopped. */
  refuses(why: Failure = failure): this {
    return this.#endTrial({ kind: 'failed', failure: why })
  }

  /** Its own operator holds it, or ends the hold; the next look sees it. */
  isHeld(hold: string | null): this {
    this.disk = { ...this.disk, hold }
    return this.apply({ type: 'disk-observed', disk: this.disk })
  }

  /** The look of every report. */
  looks(): this {
    return this.apply({ type: 'disk-observed', disk: this.disk })
  }

  /** Somebody else changes what is there; the next look sees it. */
  finds(current: Current): this {
    this.disk = { ...this.disk, current }
    return this.apply({ type: 'disk-observed', disk: this.disk })
  }

  #endTrial(outcome: StepOutcome): this {
    const { trial } = this.state
    if (trial === null) throw new Error('no trial is under way')
    const { kind, fence: of, release } = trial
    return this.apply({ type: 'trial-ended', trial: kind, fence: of, release, outcome })
  }

  /** What follows counts as done by the event before. */
  #pass(): void {
    if (this.#trials === 'by hand' || this.state.trial === null) return
    const { last } = this
    if (this.state.trial.stopping) this.refuses()
    else this.passes()
    this.last = [...last, ...this.last]
  }

  #take(cause: ActivationEvent | { type: 'resumed' }, step: Step): void {
    checkActivationInvariants(this.state, cause, step)
    this.state = step.state
    this.last = step.effects
  }
}

export function desired(at: Fence, told: Told): Desired {
  const { kind, run = null, stage = null, activateAt = null, hold = false, once = false } = told
  const { drain = false } = told
  const fallback = told.fallback === undefined ? run : told.fallback
  const release = hold ? null : run
  return {
    fence: at,
    kind,
    hold,
    drain,
    run: { release, fallback: hold ? null : fallback, activateAt },
    stage,
    once,
    history: [],
  }
}

function wordOf(effect: ActivationEffect): string {
  switch (effect.type) {
    case 'stage':
      return `stage ${effect.release.version}`
    case 'swap':
      return `swap ${effect.target.kind === 'link' ? effect.target.link : effect.target.release.version}`
    case 'attest':
      return `attest ${effect.releases.map((release) => release.version).join('+')}`
    case 'retry-later':
      return `retry-later ${effect.attempt}`
    case 'serve':
      return effect.serving ? 'serve' : 'serve no more'
    case 'schedule':
      return `schedule ${effect.activateAt}`
    case 'reload':
      return effect.rollingBack ? 'reload (rolling back)' : 'reload'
    case 'preflight':
      return `preflight ${effect.release.version}${effect.runHook ? ' with hook' : ''}`
    case 'before-activate':
      return `before-activate ${effect.release.version}`
    case 'probe':
      return `probe ${effect.release.version} ${effect.mode}`
    case 'run-once':
      return `run-once ${effect.release.version}`
    case 'tell-failure':
      return `tell-failure ${effect.failure.code}`
    case 'cancel-stage':
    case 'unschedule':
    case 'stop-reload':
    case 'stop-trial':
    case 'await-once':
    case 'report':
    case 'clean-up':
    case 'raise-conflict':
      return effect.type
  }
}
