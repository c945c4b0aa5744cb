// A host as the API shows it, over all environments that it serves. Pure.

import type { HostAppView, HostView } from '#shared/api/schemas.ts'
import { isHeard } from '#shared/environment/readiness.ts'
import type { EnvironmentState } from '#shared/environment/state.ts'
import type { Labels } from '#shared/labels.ts'
import type { AgentSession } from '../sessions/agent-session.ts'
import { clonedIdentity } from '../sessions/session-registry.ts'
import type { EnrolledHost, HostApp, LabelledHost } from '../store/host-store.ts'

export interface HostSight {
  readonly host: Omit<LabelledHost, 'labels'>
  readonly labels: Labels
  readonly session: Pick<AgentSession, 'hello' | 'heardAt' | 'serves' | 'binding' | 'pins'> | null
  readonly stateOf: (place: HostApp) => EnvironmentState | null
  readonly at: number
}

export function hostView(sight: HostSight): HostView {
  const { host, session } = sight
  const reports = host.apps.flatMap((place) => {
    const view = sight.stateOf(place)?.sessions[host.id]
    return view === undefined ? [] : [view]
  })
  const clock = reports.find((view) => view.report.clock !== null)?.report.clock ?? null
  const seen = reports.map((view) => view.reportedAt)
  if (session !== null) seen.push(session.heardAt)
  return {
    id: host.id,
    name: host.name,
    connected: session !== null && session.hello !== null,
    lastSeenAt: seen.length === 0 ? null : Math.max(...seen),
    enrolledAt: host.enrolledAt,
    clonedAt: host.clonedAt,
    channel: session === null ? null : { binding: session.binding, pins: [...session.pins] },
    agentVersion: session?.hello?.agentVersion ?? null,
    roundTripMs: clock?.roundTripMs ?? null,
    clockErrorMs: clock?.errorMs ?? null,
    labels: { ...sight.labels },
    apps: host.apps.map((place) => appView(sight, place)),
  }
}

/** A host that is connected and was configured otherwise than it was enrolled. */
export function notServedBy(session: HostSight['session'], place: HostApp): HostAppView['failure'] {
  if (session === null || session.hello === null || session.serves(place)) return null
  return {
    code: 'not-served',
    message: `its configuration does not name ${place.app} in ${place.environment}`,
    hint: 'Add the app to agent.toml and restart the agent, or remove the host.',
  }
}

/** Whoever of the two it is that reports, nothing that it says is shown. */
export function clonedFailure(host: Pick<EnrolledHost, 'name'>): HostAppView['failure'] {
  const { code, message, hint } = clonedIdentity(host)
  return { code, message, ...(hint === undefined ? {} : { hint }) }
}

function appView(sight: HostSight, place: HostApp): HostAppView {
  const { host, session, at } = sight
  const state = sight.stateOf(place)
  const excluded = state?.record.excluded[host.id] ?? null
  const drained = state?.record.drained[host.id] ?? null
  const view = state?.sessions[host.id]
  if (host.clonedAt === null && isHeard(view, at)) {
    const { phase, standing, serving, failure, current } = view.report
    const runs = current?.version ?? null
    const trust = view.report.trust ?? null
    return { ...place, phase, standing, serving, failure, runs, excluded, drained, trust }
  }
  const missing = host.clonedAt === null ? notServedBy(session, place) : clonedFailure(host)
  return {
    ...place,
    phase: missing === null ? 'unknown' : 'failed',
    standing: 'unknown',
    serving: false,
    failure: missing,
    runs: null,
    excluded,
    drained,
    trust: null,
  }
}
