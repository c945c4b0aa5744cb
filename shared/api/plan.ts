// What a deploy would do, as the HTTP API says it: from the planner of the real one, without a deed.

import { type Static, Type } from 'typebox'
import {
  App,
  Environment,
  ErrorBody,
  HostId,
  HostName,
  HostPhaseView,
  nullable,
  ReleaseRef,
  Version,
} from './schemas.ts'

export const PlannedHost = Type.Object({
  host: HostId,
  name: HostName,
  /** Its wave, from 0. */
  wave: Type.Integer(),
  /** As it stands now; `unknown` when the controller does not hear it. */
  phase: HostPhaseView,
  runs: nullable(Version),
  /**
   * What it lacks beside the release that it runs, in bytes of files before compression, and how
   * many files that is; null where what it runs is not known. Other versions on its disk may spare
   * it more.
   */
  fetch: nullable(Type.Object({ bytes: Type.Integer(), files: Type.Integer() })),
})
export type PlannedHost = Static<typeof PlannedHost>

const NamedHost = Type.Object({ host: HostId, name: HostName, reason: Type.String() })

export const PlanView = Type.Object({
  app: App,
  environment: Environment,
  release: ReleaseRef,
  /**
   * `started`: it would start a rollout; `included`: only hosts that were excluded come to it;
   * `open`, `unchanged`, `returned` as a deploy is answered.
   */
  outcome: Type.Enum(['started', 'included', 'open', 'unchanged', 'returned', 'refused']),
  /** Why it would be refused; null when it would not be. */
  refusal: nullable(ErrorBody),
  /** The rollout that would be aborted for it. */
  supersedes: nullable(Version),
  fallback: nullable(ReleaseRef),
  require: Type.String(),
  /** How many hosts have to be ready at least. */
  hostsMin: Type.Integer(),
  waves: Type.Array(
    Type.Object({ name: nullable(Type.String()), soakMs: nullable(Type.Number()) }),
  ),
  hosts: Type.Array(PlannedHost),
  excluded: Type.Array(NamedHost),
  drained: Type.Array(NamedHost),
  /** The host that would be elected for the once run by what hosts declare now; null for no run. */
  once: nullable(Type.Object({ host: HostId, name: HostName })),
  notes: Type.Array(Type.String()),
})
export type PlanView = Static<typeof PlanView>
