// What a request for a release would come to now: the machine's own answer, rehearsed, and what people
// decided about the environment. The same for a plan and for the deed; changes nothing.

import type { Clock } from '#shared/clock.ts'
import type { RolloutRequest } from '#shared/environment/events.ts'
import { emptyRecord, type EnvironmentState } from '#shared/environment/state.ts'
import type { Release } from '#shared/release.ts'
import { type AdmissionRefusal, admissionRefusal } from '../runtime/admission.ts'
import type { Environments } from '../runtime/environments.ts'
import { type Rehearsal, rehearse } from '../runtime/rehearsal.ts'
import type { EnvironmentSettingStore } from '../store/environment-setting-store.ts'
import type { HistoryStore } from '../store/history-store.ts'
import type { HostApp } from '../store/host-store.ts'

export interface ForecastPorts {
  clock: Clock
  environments: Environments
  history: HistoryStore
  environmentSettings: EnvironmentSettingStore
}

export interface Forecast {
  /** That was judged; of an environment that is yet to be made, an empty one. */
  readonly state: EnvironmentState
  readonly rehearsal: Rehearsal
  /** What people have against it. Only what would start something is held up by them. */
  readonly refusal: AdmissionRefusal | null
  /** What the operator has to know besides. */
  readonly notes: string[]
}

export async function forecast(
  ports: ForecastPorts,
  place: HostApp,
  request: RolloutRequest,
): Promise<Forecast> {
  const { app, environment } = place
  const { release } = request
  const nothing: EnvironmentState = { record: emptyRecord(app, environment), sessions: {} }
  const notes = await notesOn(ports.history, place, release)
  const admission = await admissionOf(ports, place, release)
  const state = ports.environments.of(place)?.state ?? nothing
  const rehearsal = rehearse(state, request, ports.clock.now())
  return { state, rehearsal, notes, refusal: rehearsal.starts ? admission : null }
}

async function admissionOf(
  { environments, environmentSettings, history }: ForecastPorts,
  place: HostApp,
  release: Release,
): Promise<AdmissionRefusal | null> {
  const settings = await environmentSettings.get(place)
  const { requires } = settings
  const there = requires === null ? null : { app: place.app, environment: requires }
  return admissionRefusal({
    place,
    release,
    settings,
    wasCommittedThere:
      there !== null &&
      (environments.of(there)?.state.record.committed?.tree === release.tree ||
        (await history.wasCommitted(there, release.tree))),
    wasCommittedHere: requires !== null && (await history.wasCommitted(place, release.tree)),
  })
}

async function notesOn(history: HistoryStore, place: HostApp, release: Release): Promise<string[]> {
  const failed = await history.failed(place)
  const known = failed.find((candidate) => candidate.release.tree === release.tree)
  if (known === undefined) return []
  const { reason, rollout } = known.mark
  return [
    `${release.version} failed in ${place.environment} before (${reason ?? 'failed'}, ${rollout})`,
  ]
}
