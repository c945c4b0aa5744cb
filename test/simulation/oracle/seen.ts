// What the onlooker remembers: every decision that was ever durable, every report that arrived
// lately, and what strangers did to hosts. It judges nothing.

import type { Decision } from '#shared/environment/decision.ts'
import { limits } from '#shared/limits.ts'
import type { Report } from '#shared/report.ts'
import type { AgentHost } from '../world/agent-host.ts'

/** A decision as it became durable, with what it meant for each host. */
export interface Recorded {
  readonly decision: Decision
  /** Hosts that are to hold what they run: excluded or drained. */
  readonly held: ReadonlySet<string>
  /** Hosts that this decision, or one before it in the same rollout, was taken for. */
  readonly activated: ReadonlySet<string>
}

export interface Heard {
  readonly atMs: number
  readonly report: Report
}

export interface OracleParts {
  nowMs: () => number
  hosts: () => readonly AgentHost[]
  /** Epoch milliseconds of when the world began, by the controller's clock. */
  epochMs: () => number
  /** Whether the operator took it on himself, for the rollout of this id. */
  isForced: (rollout: string) => boolean
}

export class Seen {
  readonly parts: OracleParts
  /** By hash: what any controller ever recorded, also one whose store was lost since. */
  readonly decisions = new Map<string, Recorded>()
  /** Hosts whose link or files somebody else has changed since the agent's last swap. */
  readonly drifted = new Set<string>()
  /** What `current` was before the first uncommitted activation; by host. */
  readonly origins = new Map<string, string | null>()
  readonly #heard = new Map<string, Heard[]>()

  constructor(parts: OracleParts) {
    this.parts = parts
  }

  host(id: string): AgentHost | undefined {
    return this.parts.hosts().find((host) => host.id === id)
  }

  nameOf(id: string): string {
    return this.host(id)?.name ?? id
  }

  hear(host: string, report: Report): void {
    const heard = this.#heard.get(host) ?? []
    heard.push({ atMs: this.parts.nowMs(), report })
    if (heard.length > 200) heard.splice(0, 100)
    this.#heard.set(host, heard)
  }

  /** Every report of the host that arrived lately, newest last. */
  heardOf(host: string): readonly Heard[] {
    return this.#heard.get(host) ?? []
  }

  /** Those that were at most a lease old when this was decided. */
  freshOf(host: string, decidedAt: number): readonly Report[] {
    const sinceMs = decidedAt - this.parts.epochMs() - limits.leaseMs - lookUpMs
    return this.heardOf(host).flatMap(({ atMs, report }) => (atMs >= sinceMs ? [report] : []))
  }
}

/** What a report may wait for the records to be looked up. */
const lookUpMs = 2
