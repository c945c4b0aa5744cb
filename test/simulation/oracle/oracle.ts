// The onlooker that knows everything: what every disk says, what was ever decided, who said what
// when. It judges by that alone and never asks the machines.

import type { Desired } from '#shared/desired.ts'
import { compareFence, sameFence } from '#shared/fence.ts'
import type { Journal } from '#shared/activation/state.ts'
import type { SwapTarget } from '#shared/activation/events.ts'
import type { Decision } from '#shared/environment/decision.ts'
import type { Fact } from '#shared/environment/events.ts'
import type { Rollout } from '#shared/environment/rollout.ts'
import type { EnvironmentRecord } from '#shared/environment/state.ts'
import { type Release, sameRelease } from '#shared/release.ts'
import type { Report } from '#shared/report.ts'
import type { UpMessage } from '#shared/wire/messages.ts'
import type { EnvironmentSave } from '#controller/runtime/environment-store.ts'
import type { AgentHost } from '../world/agent-host.ts'
import { BarrierCheck } from './barrier-check.ts'
import { EndCheck } from './end-check.ts'
import { OnceWatch } from './once-watch.ts'
import { type OracleParts, Seen } from './seen.ts'
import { require } from './violation.ts'

export class Oracle {
  readonly #seen: Seen
  readonly #barrier: BarrierCheck
  readonly #end: EndCheck
  readonly once: OnceWatch
  /** What was seen last: whether the host serves, and what it runs. */
  readonly #served = new Map<string, { serving: boolean; version: string | undefined }>()
  readonly #keys = new Map<string, string>()

  constructor(parts: OracleParts) {
    this.#seen = new Seen(parts)
    this.#barrier = new BarrierCheck(this.#seen)
    this.#end = new EndCheck(this.#seen)
    this.once = new OnceWatch(this.#seen)
  }

  /** Told before a stranger changes the link. */
  drifts(host: AgentHost): void {
    this.#seen.drifted.add(host.id)
  }

  /** The store was put back: a key may be forgotten, which is what a restore costs. */
  restored(): void {
    this.#keys.clear()
    this.#barrier.forgetRest()
    this.once.restored()
  }

  /** After everything that happens: what nobody may ever see. */
  look(): void {
    for (const host of this.#seen.parts.hosts()) {
      this.#lookAtService(host)
      const { link } = host.disk
      if (link === null || this.#seen.drifted.has(host.id) || !link.startsWith('versions/'))
        continue
      require(host.disk.runs !== null, 'never a broken link', `${host.name}: current → ${link}`)
    }
  }

  /** A host that goes on running what it was told to, with nothing wrong about it, stays served. */
  #lookAtService(host: AgentHost): void {
    const { serving, runs, journal, isTroubled, isTampered } = host.disk
    const before = this.#served.get(host.id)
    if (before?.serving === serving && before.version === runs?.version) return
    this.#served.set(host.id, { serving, version: runs?.version })
    const isTaken = before?.serving === true && !serving && before.version === runs?.version
    const run = journal.told?.run.release ?? null
    const isFine = run !== null && sameRelease(runs, run) && !isTroubled && !isTampered
    const isWronged = isTaken && isFine && !this.#seen.drifted.has(host.id)
    require(!isWronged, 'convergence', `${host.name} was taken out of service for nothing`)
  }

  sent(host: AgentHost, message: UpMessage): void {
    if (message.type !== 'observed') return
    const held = host.disk.journal.fence
    const bears = compareFence(message.fence, held) === 'equal'
    require(bears, 'fencing', `${host.name} reports a fence that it has not persisted`)
    if (message.phase !== 'healthy' || this.#seen.drifted.has(host.id)) return
    const isTrue = sameRelease(host.disk.runs, message.current)
    require(isTrue, 'no lies', `${host.name} says it is on ${message.current?.version}`)
  }

  /** A report of the host has reached the controller. */
  heard(host: string, report: Report): void {
    this.#seen.hear(host, report)
  }

  /** The operator is about to ask. */
  asks(what: string): void {
    if (what === 'continue') this.#barrier.letGoOnAsked()
  }

  /** The operator has his answer. */
  answered(what: string, outcome: string): void {
    if (outcome === 'paused') this.#barrier.heldUp()
    if (what === 'continue') this.#barrier.letGoOnAnswered(outcome === 'continued')
  }

  clockWasSet(): void {
    this.#barrier.forgetRest()
  }

  /** The controller is about to tell a host this. */
  told(host: string, { fence, once }: Desired): void {
    const isDurable = this.#seen.decisions.has(fence.hash)
    require(isDurable, 'all or none', `${host} is told what is not recorded`)
    if (once) this.once.told(host, fence.hash)
  }

  journalled(host: AgentHost, before: Journal, after: Journal): void {
    const order = compareFence(after.fence, before.fence)
    require(order === 'equal' || order === 'higher', 'fencing', `${host.name} falls: ${order}`)
    const run = after.once
    if (run !== null && run.state !== 'running') this.once.journalled(run.fence.hash)
    if (before.before !== null && after.before !== null) {
      const isKept = before.before.link === after.before.link
      require(isKept, 'no lies', `${host.name} overwrites its before`)
    }
    const { told } = after
    const isCommitted =
      told !== null && told.run.release !== null && !isUncommitted(told.kind, told.run.fallback)
    if (isCommitted) this.#seen.origins.delete(host.id)
  }

  swapped(host: AgentHost, target: SwapTarget): void {
    const { fence } = host.disk.journal
    const recorded = fence === null ? undefined : this.#seen.decisions.get(fence.hash)
    const what = `${host.name} swaps to ${target.kind === 'link' ? target.link : target.release.version}`
    require(recorded !== undefined, 'all or none', `${what} for no recorded decision`)
    const { decision, held, activated } = recorded
    require(sameFence(decision.fence, fence), 'fencing', `${what} for another place`)
    require(!held.has(host.id), 'the host’s owner decides', `${what} though it is to hold`)
    const isCounted = decision.kind === 'activate' && activated.has(host.id)
    const run = decision.kind !== 'activate' || isCounted ? decision.run : decision.fallback
    if (target.kind === 'link') {
      require(run === null, 'all or none', `${what} though a release is to run`)
      require(target.link === this.#seen.origins.get(host.id), 'no lies', `${what}, no true before`)
    } else {
      require(sameRelease(run, target.release), 'all or none', `${what} though it is not to run`)
      const isStaged = host.disk.holds(target.release)
      require(isStaged, 'never a broken link', `${what}, which is not staged`)
      const isFirst =
        isUncommitted(decision.kind, decision.fallback) && !this.#seen.origins.has(host.id)
      if (isFirst) this.#seen.origins.set(host.id, host.disk.link)
    }
    this.#seen.drifted.delete(host.id)
  }

  /** The decision and everything with it is durable; nobody has been told yet. */
  saved(save: EnvironmentSave): void {
    for (const fact of save.facts) this.#recorded(save, fact)
  }

  #recorded(save: EnvironmentSave, fact: Fact): void {
    const { type } = fact
    this.#end.recorded(fact)
    if (type === 'decided') this.#decided(save, fact.decision)
    if (type === 'rollout-started') {
      this.#checkKey(fact.rollout)
      this.once.began(fact.rollout)
    }
    if (type === 'wave-rested') this.#barrier.rested(fact.rollout)
    if (type === 'once-ended') this.once.ended(fact.run)
    if (type === 'host-removed') this.once.removed(fact.host)
    if (type === 'recovered') this.once.recovered()
    if (type === 'rollout-ended') {
      this.once.rolloutEnded(fact.rollout)
      this.#end.ended(fact.rollout, save)
    }
    if (type !== 'fenced') return
    const isSuperseded = fact.fence.term < save.after.term
    require(!isSuperseded, 'a rule of the protocol', 'fenced by a term that is over')
  }

  #decided(save: EnvironmentSave, decision: Decision): void {
    const { before, after } = save
    const { kind, counted, fence, rollout } = decision
    const held = new Set([...Object.keys(after.excluded), ...Object.keys(after.drained)])
    const last = this.#seen.decisions.get(before.decision?.fence.hash ?? '')
    const earlier = last?.decision.rollout === rollout ? last?.activated : undefined
    const activated = new Set(kind === 'activate' ? [...counted, ...(earlier ?? [])] : [])
    this.#seen.decisions.set(fence.hash, { decision, held, activated })
    if (kind === 'prepare') this.once.recorded(save, decision)
    if (kind !== 'activate') return
    this.#barrier.activated(save, decision)
    this.once.activated(save, decision)
  }

  /** Before clean-up removes a release from a host. */
  removes(host: AgentHost, release: Release): void {
    // What is still being saved has not been accepted yet.
    const { told, before } = host.runner?.state.journal ?? host.disk.journal
    const needed = [told?.run.release, told?.run.fallback, told?.stage]
    const isNeeded = needed.some((one) => one !== undefined && sameRelease(one, release))
    const isBefore = before?.link === `versions/${release.version}`
    const what = `${host.name} removes ${release.version}`
    require(!isNeeded && !isBefore, 'nothing needed is deleted', what)
    const runs = host.disk.runs?.version === release.version
    require(!runs, 'nothing needed is deleted', `${what}, which runs`)
  }

  /** Where the host ought to be, now that nothing is open and nothing fails any more; or null. */
  astray(host: AgentHost, record: EnvironmentRecord): string | null {
    const isOut = host.id in record.excluded || host.id in record.drained
    if (record.members[host.id] === undefined || isOut) return null
    if (!host.isConnected) return `${host.name} is not connected`
    const { committed } = record
    const { runs, link, journal, serving } = host.disk
    if (committed !== null) {
      if (!sameRelease(runs, committed)) return `${host.name} is on ${runs?.version ?? link}`
      if (host.disk.isTampered) return `${host.name} has files that were changed`
      if (journal.reloadDue) return `${host.name} owes its reload steps`
      return serving ? null : `${host.name} does not say that it serves`
    }
    const origin = this.#seen.origins.get(host.id) ?? null
    if (origin === null || link === origin) return null
    return `${host.name} is on ${link}, not on what it ran before`
  }

  #checkKey({ requestKey, id }: Rollout): void {
    if (requestKey === null) return
    const first = this.#keys.get(requestKey)
    require(first === undefined, 'no lies', `${id} and ${first} were started by one request`)
    this.#keys.set(requestKey, id)
  }
}

/** An activation with nothing committed to go back to. */
function isUncommitted(kind: string, fallback: Release | null): boolean {
  return kind === 'activate' && fallback === null
}
