// A forecast as the API shows it: who would take part, in which wave, and what each has to fetch.

import type { PlannedHost, PlanView } from '#shared/api/plan.ts'
import { electedOf } from '#shared/environment/once.ts'
import { declaresOf, isHeard } from '#shared/environment/readiness.ts'
import { hostsMinOf, participantsOf, type Rollout } from '#shared/environment/rollout.ts'
import { openRolloutOf } from '#shared/environment/state.ts'
import { LockstepError } from '#shared/errors.ts'
import type { Release } from '#shared/release.ts'
import { readManifest } from '../content/pack-builder.ts'
import type { ContentStore } from '../content/ports.ts'
import type { Forecast } from './forecast.ts'
import { requireText } from './rollout-view.ts'

type Fetch = PlannedHost['fetch']

/** @param at the controller's clock, epoch milliseconds */
export async function planView(
  forecast: Forecast,
  release: Release,
  content: ContentStore,
  at: number,
): Promise<PlanView> {
  const { state, rehearsal, notes } = forecast
  const { record } = state
  const { app, environment } = record
  const { answer } = rehearsal
  const planned = answer.outcome === 'started' ? answer.rollout : null
  const open = openRolloutOf(record)
  return {
    app,
    environment,
    release: { ...release },
    outcome: outcomeOf(forecast),
    refusal: refusalOf(forecast),
    supersedes: planned === null ? null : (open?.target.version ?? null),
    fallback: record.committed === null ? null : { ...record.committed },
    ...(await whoOf(forecast, planned, release, content, at)),
    drained: Object.entries(record.drained).map(named(record.members)),
    notes,
  }
}

function outcomeOf({ rehearsal, refusal }: Forecast): PlanView['outcome'] {
  const { answer, starts } = rehearsal
  if (refusal !== null) return 'refused'
  switch (answer.outcome) {
    case 'started':
    case 'open':
    case 'returned':
    case 'refused':
      return answer.outcome
    case 'unchanged':
      return starts ? 'included' : 'unchanged'
    case 'cancelled':
    case 'continued':
    case 'paused':
    case 'drained':
    case 'recovered':
      throw new Error('this is no answer to a request for a release')
  }
}

function refusalOf({ rehearsal, refusal }: Forecast): PlanView['refusal'] {
  const refused = refusal ?? (rehearsal.answer.outcome === 'refused' ? rehearsal.answer : null)
  if (refused === null) return null
  const { code, message, hint, details } = refused
  return { code, message, hint, ...(details === undefined ? {} : { details }) }
}

async function whoOf(
  { state }: Forecast,
  planned: Rollout | null,
  release: Release,
  content: ContentStore,
  at: number,
): Promise<Pick<PlanView, 'require' | 'hostsMin' | 'waves' | 'hosts' | 'excluded' | 'once'>> {
  if (planned === null) {
    return { require: 'all', hostsMin: 0, waves: [], hosts: [], excluded: [], once: null }
  }
  const participants = participantsOf(planned)
  const declares = (host: string) => declaresOf(state, host)
  const { elected } = electedOf(state.record, planned, participants, declares)
  const fetchFor = fetchSizes(release, content)
  const hosts: PlannedHost[] = []
  for (const { host, name, wave } of participants) {
    const view = state.sessions[host]
    const report = isHeard(view, at) ? view.report : null
    hosts.push({
      host,
      name,
      wave,
      phase: report?.phase ?? 'unknown',
      runs: report?.current?.version ?? null,
      fetch: report === null ? null : await fetchFor(report.current?.tree ?? null),
    })
  }
  return {
    require: requireText(planned.requirement),
    hostsMin: participants.length === 0 ? 0 : hostsMinOf(planned, participants.length),
    waves: planned.waves.map((wave) => ({ ...wave })),
    hosts,
    excluded: Object.entries(planned.excluded).map(named(state.record.members)),
    once: elected === null ? null : { host: elected.host, name: elected.name },
  }
}

function named(members: Readonly<Record<string, { name: string }>>) {
  return ([host, reason]: [string, string]) => ({
    host,
    name: members[host]?.name ?? host,
    reason,
  })
}

/** Manifests are read once for each release that hosts run, however many hosts those are. */
function fetchSizes(
  release: Release,
  content: ContentStore,
): (from: string | null) => Promise<Fetch> {
  let wanted: ReturnType<typeof filesOf> | null = null
  const known = new Map<string | null, Promise<Fetch>>()
  return (from) => {
    const size = known.get(from) ?? sizeBeyond(from)
    known.set(from, size)
    return size
  }

  async function sizeBeyond(from: string | null): Promise<Fetch> {
    wanted ??= filesOf(release.tree, content)
    const files = await wanted
    const held = from === null ? new Map<string, number>() : await filesOf(from, content)
    if (files === null || held === null) return null
    const lacking = [...files].filter(([sha256]) => !held.has(sha256))
    return { bytes: lacking.reduce((sum, [, bytes]) => sum + bytes, 0), files: lacking.length }
  }
}

/** SHA-256 → bytes; null for a tree of which there is no manifest here. */
async function filesOf(
  tree: string,
  content: ContentStore,
): Promise<ReadonlyMap<string, number> | null> {
  try {
    const entries = await readManifest(tree, content)
    return new Map(
      entries.flatMap((entry) => (entry.type === 'file' ? [[entry.sha256, entry.sizeBytes]] : [])),
    )
  } catch (error) {
    if (error instanceof LockstepError && error.code === 'unknown-tree') return null
    throw error
  }
}
