// Views as a controller would show them, for the tests of the command: a fleet of `web-1` to `web-N` that
// moves shop in production from 0.0.11 to 0.0.12, with what a test changes of it.

import type {
  EnvironmentView,
  HostView,
  ParticipantView,
  ReleaseView,
  RolloutView,
} from '#shared/api/schemas.ts'

/** 2026-11-23 14:03:22 UTC */
export const startedAt = Date.UTC(2026, 10, 23, 14, 3, 22)

export const oldRelease = { version: '0.0.11', tree: 'a'.repeat(64) }
export const newRelease = { version: '0.0.12', tree: 'b'.repeat(64) }

export function hostIdOf(name: string): string {
  return name.padEnd(26, '_').slice(0, 26)
}

export function participant(name: string, changes: Partial<ParticipantView> = {}): ParticipantView {
  return {
    host: hostIdOf(name),
    name,
    state: 'participating',
    counted: false,
    wave: 0,
    phase: 'healthy',
    failure: null,
    progress: null,
    runs: oldRelease.version,
    activatedAt: null,
    activationMode: null,
    ...changes,
  }
}

/** `web-1` to `web-count`. */
export function fleet(count: number, changes: Partial<ParticipantView> = {}): ParticipantView[] {
  return Array.from({ length: count }, (_, at) => participant(`web-${at + 1}`, changes))
}

/** The phases with their lengths: `[['staging', 7100], ['activating', 300], ['committed', 0]]`. */
export function phasesOf(...lengths: [phase: string, ms: number][]): RolloutView['phases'] {
  let at = startedAt
  return lengths.map(([phase, ms]) => {
    const entry = { phase, at }
    at += ms
    return entry
  })
}

export function rollout(changes: Partial<RolloutView> = {}): RolloutView {
  return {
    id: 'r-1',
    app: 'shop',
    environment: 'production',
    target: newRelease,
    fallback: oldRelease,
    phase: 'staging',
    reason: null,
    waves: [{ name: null, soakMs: 0 }],
    wave: 0,
    between: null,
    once: null,
    exitCode: null,
    require: 'all',
    startedAt,
    deadlineAt: startedAt + 900_000,
    endedAt: null,
    phases: phasesOf(['staging', 0]),
    participants: fleet(3),
    excluded: [],
    drained: [],
    unknown: [],
    skewMs: null,
    skewErrorMs: null,
    requestedBy: 'admin-1',
    ...changes,
  }
}

/** Committed after 12.4 s on all its hosts. */
export function committed(changes: Partial<RolloutView> = {}): RolloutView {
  const phases = phasesOf(
    ['staging', 7100],
    ['activating', 300],
    ['verifying', 5000],
    ['committed', 0],
  )
  return rollout({
    phase: 'committed',
    reason: 'all-healthy',
    exitCode: 0,
    endedAt: startedAt + 12_400,
    phases,
    participants: fleet(3, swapped),
    skewMs: 3.24,
    skewErrorMs: 0.4,
    ...changes,
  })
}

/** What a host shows that has swapped and is well. */
export const swapped: Partial<ParticipantView> = {
  counted: true,
  phase: 'healthy',
  runs: newRelease.version,
  activatedAt: startedAt + 7200,
  activationMode: 'timed',
}

export function host(name: string, changes: Partial<HostView> = {}): HostView {
  return {
    id: hostIdOf(name),
    name,
    connected: true,
    lastSeenAt: startedAt,
    enrolledAt: startedAt - 86_400_000,
    agentVersion: '0.0.1',
    roundTripMs: 1.2,
    clockErrorMs: 0.3,
    clonedAt: null,
    channel: { binding: 'plain', pins: [] },
    labels: {},
    apps: [servedApp()],
    ...changes,
  }
}

export function servedApp(
  changes: Partial<HostView['apps'][number]> = {},
): HostView['apps'][number] {
  return {
    app: 'shop',
    environment: 'production',
    phase: 'healthy',
    runs: oldRelease.version,
    standing: 'run',
    serving: true,
    excluded: null,
    drained: null,
    failure: null,
    trust: null,
    ...changes,
  }
}

export function environment(changes: Partial<EnvironmentView> = {}): EnvironmentView {
  return {
    app: 'shop',
    environment: 'production',
    freeze: null,
    approvals: 0,
    requires: null,
    desired: oldRelease,
    committed: oldRelease,
    fence: { term: 1, epoch: 4 },
    fencedBy: [],
    rollout: null,
    failed: [],
    hosts: [host('web-1'), host('web-2'), host('web-3')],
    ...changes,
  }
}

export function release(version: string, number: number): ReleaseView {
  return {
    app: 'shop',
    version,
    number,
    tree: 'b'.repeat(64),
    artifact: 'c'.repeat(64),
    artifactBytes: 23_100_000,
    treeBytes: 81_200_000,
    entries: 5330,
    publishedAt: startedAt - 60_000,
    publishedBy: 'admin-1',
    statement: null,
    sequence: null,
    requires: null,
    failed: [],
  }
}
