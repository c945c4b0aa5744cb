// The onlooker that knows everything: what every disk says, what was ever decided, who said what
// when. It judges by that alone and never asks the machines.

import { compareFence, type Fence, sameFence } from '#shared/fence.ts'
import type { Journal } from '#shared/activation/state.ts'
import type { SwapTarget } from '#shared/activation/events.ts'
import type { Decision } from '#shared/environment/decision.ts'
import { exitCodeOf, type Participant, type Rollout } from '#shared/environment/rollout.ts'
import type { EnvironmentRecord } from '#shared/environment/state.ts'
import { limits } from '#shared/limits.ts'
import { type Release, sameRelease } from '#shared/release.ts'
import type { Report } from '#shared/report.ts'
import type { UpMessage } from '#shared/wire/messages.ts'
import type { EnvironmentSave } from '#controller/runtime/environment-store.ts'
import type { AgentHost } from '../world/agent-host.ts'
import { require } from './violation.ts'

/** A decision as it became durable, with what it meant for each host. */
interface Recorded {
  readonly decision: Decision
  readonly excluded: ReadonlySet<string>
}

interface Heard {
  readonly atMs: number
  readonly report: Report
}

export interface OracleParts {
  nowMs: () => number
  hosts: () => readonly AgentHost[]
  /** Epoch milliseconds of when the world began, by the controller's clock. */
  epochMs: () => number
}

export class Oracle {
  readonly #parts: OracleParts
  /** By hash: what any controller ever recorded, also one whose store was lost since. */
  readonly #decisions = new Map<string, Recorded>()
  /** By host: every report of it that arrived lately, newest last. */
  readonly #heard = new Map<string, Heard[]>()
  /** Hosts whose link somebody else has changed since the agent's last swap. */
  readonly #drifted = new Set<string>()
  /** What `current` was before the first uncommitted activation; by host. */
  readonly #origins = new Map<string, string | null>()
  /** What was seen last: whether the host serves, and what it runs. */
  readonly #served = new Map<string, { serving: boolean; version: string | undefined }>()
  readonly #keys = new Map<string, string>()

  constructor(parts: OracleParts) {
    this.#parts = parts
  }

  /** Told before a stranger changes the link. */
  drifts(host: AgentHost): void {
    this.#drifted.add(host.id)
  }

  /** The store was put back: a key may be forgotten, which is what a restore costs. */
  restored(): void {
    this.#keys.clear()
  }

  /** After everything that happens: what nobody may ever see. */
  look(): void {
    for (const host of this.#parts.hosts()) {
      this.#lookAtService(host)
      const { link } = host.disk
      if (link === null || this.#drifted.has(host.id) || !link.startsWith('versions/')) continue
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
    const isWronged = isTaken && isFine && !this.#drifted.has(host.id)
    require(!isWronged, 'convergence', `${host.name} was taken out of service for nothing`)
  }

  sent(host: AgentHost, message: UpMessage): void {
    if (message.type !== 'observed') return
    const held = host.disk.journal.fence
    const bears = compareFence(message.fence, held) === 'equal'
    require(bears, 'fencing', `${host.name} reports a fence that it has not persisted`)
    if (message.phase !== 'healthy' || this.#drifted.has(host.id)) return
    const isTrue = sameRelease(host.disk.runs, message.current)
    require(isTrue, 'no lies', `${host.name} says it is on ${message.current?.version}`)
  }

  /** A report of the host has reached the controller. */
  heard(host: string, report: Report): void {
    const heard = this.#heard.get(host) ?? []
    heard.push({ atMs: this.#parts.nowMs(), report })
    if (heard.length > 200) heard.splice(0, 100)
    this.#heard.set(host, heard)
  }

  /** The controller is about to tell a host this decision. */
  told(host: string, fence: Fence): void {
    const isDurable = this.#decisions.has(fence.hash)
    require(isDurable, 'all or none', `${host} is told what is not recorded`)
  }

  journalled(host: AgentHost, before: Journal, after: Journal): void {
    const order = compareFence(after.fence, before.fence)
    require(order === 'equal' || order === 'higher', 'fencing', `${host.name} falls: ${order}`)
    if (before.before !== null && after.before !== null) {
      const isKept = before.before.link === after.before.link
      require(isKept, 'no lies', `${host.name} overwrites its before`)
    }
    const { told } = after
    const isCommitted =
      told !== null && told.run.release !== null && !isUncommitted(told.kind, told.run.fallback)
    if (isCommitted) this.#origins.delete(host.id)
  }

  swapped(host: AgentHost, target: SwapTarget): void {
    const { fence } = host.disk.journal
    const recorded = fence === null ? undefined : this.#decisions.get(fence.hash)
    const what = `${host.name} swaps to ${target.kind === 'link' ? target.link : target.release.version}`
    require(recorded !== undefined, 'all or none', `${what} for no recorded decision`)
    const { decision, excluded } = recorded
    require(sameFence(decision.fence, fence), 'fencing', `${what} for another place`)
    require(!excluded.has(host.id), 'the host’s owner decides', `${what} though it is to hold`)
    const isCounted = decision.kind === 'activate' && decision.counted.includes(host.id)
    const run = decision.kind !== 'activate' || isCounted ? decision.run : decision.fallback
    if (target.kind === 'link') {
      require(run === null, 'all or none', `${what} though a release is to run`)
      require(target.link === this.#origins.get(host.id), 'no lies', `${what}, no true before`)
    } else {
      require(sameRelease(run, target.release), 'all or none', `${what} though it is not to run`)
      const isStaged = host.disk.holds(target.release)
      require(isStaged, 'never a broken link', `${what}, which is not staged`)
      const isFirst = isUncommitted(decision.kind, decision.fallback) && !this.#origins.has(host.id)
      if (isFirst) this.#origins.set(host.id, host.disk.link)
    }
    this.#drifted.delete(host.id)
  }

  /** The decision and everything with it is durable; nobody has been told yet. */
  saved({ before, after, facts }: EnvironmentSave): void {
    for (const fact of facts) {
      if (fact.type === 'decided') {
        const { decision } = fact
        const excluded = new Set(Object.keys(after.excluded))
        this.#decisions.set(decision.fence.hash, { decision, excluded })
        if (decision.kind === 'activate') this.#checkBarrier(before, decision)
      }
      if (fact.type === 'rollout-ended') this.#checkEnd(fact.rollout, before.decision)
      if (fact.type === 'fenced') {
        const isSuperseded = fact.fence.term < after.term
        require(!isSuperseded, 'a rule of the protocol', 'fenced by a term that is over')
      }
      if (fact.type === 'rollout-started') this.#checkKey(fact.rollout)
    }
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
    if (record.members[host.id] === undefined || record.excluded[host.id] !== undefined) return null
    if (!host.isConnected) return `${host.name} is not connected`
    const { committed } = record
    const { runs, link, journal, serving } = host.disk
    if (committed !== null) {
      if (!sameRelease(runs, committed)) return `${host.name} is on ${runs?.version ?? link}`
      if (host.disk.isTampered) return `${host.name} has files that were changed`
      if (journal.reloadDue) return `${host.name} owes its reload steps`
      return serving ? null : `${host.name} does not say that it serves`
    }
    const origin = this.#origins.get(host.id) ?? null
    if (origin === null || link === origin) return null
    return `${host.name} is on ${link}, not on what it ran before`
  }

  #checkBarrier(before: EnvironmentRecord, decision: Decision): void {
    const { counted, run, fallback } = decision
    require(counted.length > 0 && run !== null, 'all or none', 'an activation for nobody')
    for (const id of counted) {
      const host = this.#parts.hosts().find((one) => one.id === id)
      require(host !== undefined, 'all or none', `${id} was counted and does not exist`)
      const freshSince = decision.decidedAt - this.#parts.epochMs() - limits.leaseMs - lookUpMs
      const isFresh = (this.#heard.get(id) ?? []).some(
        ({ atMs, report }) =>
          atMs >= freshSince &&
          report.ready?.target === run.tree &&
          report.ready.fallback === (fallback?.tree ?? null) &&
          sameFence(report.fence, before.decision?.fence ?? null),
      )
      require(isFresh, 'all or none', `${host.name} was counted without a fresh ready`)
      require(host.disk.holds(run), 'all or none', `${host.name} was counted and has not staged`)
      if (fallback === null || this.#drifted.has(id)) continue
      const isOn = sameRelease(host.disk.runs, fallback)
      require(isOn, 'all or none', `${host.name} was counted and is not on the fallback`)
    }
  }

  #checkKey({ requestKey, id }: Rollout): void {
    if (requestKey === null) return
    const first = this.#keys.get(requestKey)
    require(first === undefined, 'no lies', `${id} and ${first} were started by one request`)
    this.#keys.set(requestKey, id)
  }

  /** The host itself has said it, under the decision that the end rests on. */
  #checkWord({ host, name }: Participant, rollout: Rollout, decision: Decision | null): void {
    const { phase, target, fallback } = rollout
    const way = phase === 'committed' ? target : fallback
    const has = (this.#heard.get(host) ?? []).some(({ report }) => {
      if (!sameFence(report.fence, decision?.fence ?? null)) return false
      if (way === null) return report.standing === 'before' || report.standing === 'kept'
      // Going back waits for no gate: what ran before has passed its own.
      const isActive = phase !== 'committed' && report.phase === 'active'
      return (isActive || report.phase === 'healthy') && sameRelease(report.current, way)
    })
    require(has, 'no lies', `${phase} without the word of ${name}`)
  }

  #checkEnd(rollout: Rollout, decision: Decision | null): void {
    const counted = Object.values(rollout.participants).filter((p) => p.counted)
    const remaining = counted.filter((p) => p.state === 'participating')
    const { phase, target, fallback, unknown } = rollout
    const hostOf = (p: Participant) => this.#parts.hosts().find((host) => host.id === p.host)
    const known = remaining.filter((p) => !unknown.includes(p.host))
    for (const participant of known) {
      if (phase !== 'aborted') this.#checkWord(participant, rollout, decision)
      const host = hostOf(participant)
      if (host === undefined || this.#drifted.has(host.id)) continue
      const { runs, link } = host.disk
      const where = `${host.name} is on ${link ?? 'nothing'}`
      if (phase === 'committed') {
        require(sameRelease(runs, target), 'no lies', `committed, and ${where}`)
      }
      if (phase === 'rolled-back' && fallback !== null) {
        require(sameRelease(runs, fallback), 'no lies', `rolled back, and ${where}`)
      }
      const origin = this.#origins.get(host.id)
      const isWayBack = phase === 'rolled-back' || phase === 'failed'
      if (origin === undefined || fallback !== null || !isWayBack) continue
      const isBack = link === origin || (phase === 'failed' && origin === null)
      require(isBack, 'no lies', `${phase}, and ${where}`)
    }
    if (phase === 'committed' && counted.length > 0) {
      const floor = Math.max(1, rollout.requirement.hostsMin ?? counted.length)
      const what = `committed with ${remaining.length} hosts of ${floor}`
      require(remaining.length >= floor, 'no lies', what)
    }
    const exitCode = exitCodeOf(rollout)
    if (exitCode === 3) require(unknown.length === 0, 'no lies', 'exit 3 with hosts unknown')
    if (exitCode === 0) require(known.length === remaining.length, 'no lies', 'exit 0 and unknown')
    if (exitCode !== 4 || rollout.reason === 'recovered') return
    require(counted.length === 0, 'no lies', 'aborted after a host was told to activate')
  }
}

/** What a report may wait for the records to be looked up. */
const lookUpMs = 2

/** An activation with nothing committed to go back to. */
function isUncommitted(kind: string, fallback: Release | null): boolean {
  return kind === 'activate' && fallback === null
}
