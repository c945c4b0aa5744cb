// The bodies of the HTTP API: one set of schemas for validation, for types on both sides and for
// the OpenAPI document. Times are epoch milliseconds; lists are `{ items, next }`.

import { type Static, type TSchema, Type } from 'typebox'
import { patterns } from '../ids.ts'

const closed = { additionalProperties: false }
export const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])
const instant = Type.Number()

export const App = Type.String({ pattern: patterns.app })
export const Environment = Type.String({ pattern: patterns.environment })
export const Version = Type.String({ pattern: patterns.version })
export const Digest = Type.String({ pattern: patterns.digest })
export const HostId = Type.String({ pattern: patterns.hostId })
export const HostName = Type.String({ pattern: patterns.hostName })

export const ErrorBody = Type.Object({
  code: Type.String(),
  message: Type.String(),
  hint: Type.Optional(Type.String()),
  details: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
})

const listOf = <T extends TSchema>(item: T) =>
  Type.Object({ items: Type.Array(item), next: nullable(Type.String()) })

// ---- releases ------------------------------------------------------------------------------

/** That a release failed on its hosts in an environment, and nothing better was said of it since. */
export const FailureMark = Type.Object({
  environment: Environment,
  /** The rollout that failed. */
  rollout: Type.String(),
  at: instant,
  reason: nullable(Type.String()),
})
export type FailureMark = Static<typeof FailureMark>

export const ReleaseView = Type.Object({
  app: App,
  version: Version,
  /** Order of publishing within the controller; never a host's clock. */
  number: Type.Integer(),
  tree: Digest,
  artifact: Digest,
  artifactBytes: Type.Integer(),
  treeBytes: Type.Integer(),
  entries: Type.Integer(),
  publishedAt: instant,
  publishedBy: Type.String(),
  /**
   * What its signed statement says; null while it is not signed. Nothing of it is proven here: the
   * keys are on the hosts.
   */
  statement: nullable(
    Type.Object({
      environments: Type.Array(Environment),
      /** Not staged anew from then on; null for never. */
      expiresAt: nullable(instant),
      /** The lowest sequence that may be staged once this release is committed. */
      floor: nullable(Type.Integer()),
      /** Ids of the keys that are said to have signed, as `ssh-keygen -l` shows them. */
      signedBy: Type.Array(Type.String()),
    }),
  ),
  /** Of the signed statement: orders the releases of an app. */
  sequence: nullable(Type.Integer()),
  /** What its descriptor requires of hosts; null without one. Empty lists allow any. */
  requires: nullable(
    Type.Object({
      os: Type.Array(Type.String()),
      arch: Type.Array(Type.String()),
      libc: Type.Array(Type.String()),
      /** Name → constraint. */
      commands: Type.Record(Type.String(), Type.String()),
    }),
  ),
  /** The environments in which it failed: `lockstep rollback` never chooses it there. */
  failed: Type.Array(FailureMark),
})
export type ReleaseView = Static<typeof ReleaseView>
export const ReleaseList = listOf(ReleaseView)
export type ReleaseList = Static<typeof ReleaseList>

export const AppView = Type.Object({
  app: App,
  environments: Type.Array(Environment),
  releases: Type.Integer(),
})
export type AppView = Static<typeof AppView>
export const AppList = listOf(AppView)
export type AppList = Static<typeof AppList>

// ---- environments, rollouts, hosts -----------------------------------------------------------

export const ReleaseRef = Type.Object({ version: Version, tree: Digest })

export const FailureView = Type.Object({
  code: Type.String(),
  message: Type.String(),
  hint: Type.Optional(Type.String()),
})

export const HostPhaseView = Type.Enum([
  'idle',
  'fetching',
  'staged',
  'ready',
  'activating',
  'active',
  'healthy',
  'failed',
  'unknown',
])

export const ParticipantView = Type.Object({
  host: HostId,
  name: HostName,
  state: Type.Enum(['participating', 'left-behind', 'dropped', 'removed']),
  counted: Type.Boolean(),
  wave: Type.Integer(),
  /**
   * `unknown` when the controller does not hear the host: neither success nor failure. Of a rollout
   * that has ended: how the host stood then.
   */
  phase: HostPhaseView,
  failure: nullable(FailureView),
  progress: nullable(Type.Object({ bytes: Type.Number(), bytesTotal: Type.Number() })),
  /** The version that the host's disk attests; null for none or for no release of ours. */
  runs: nullable(Version),
  activatedAt: nullable(instant),
  activationMode: nullable(Type.Enum(['timed', 'on-receipt'])),
})
export type ParticipantView = Static<typeof ParticipantView>

export const RolloutView = Type.Object({
  id: Type.String(),
  app: App,
  environment: Environment,
  target: ReleaseRef,
  fallback: nullable(ReleaseRef),
  phase: Type.Enum([
    'staging',
    'preparing',
    'activating',
    'verifying',
    'rolling-back',
    'committed',
    'rolled-back',
    'aborted',
    'failed',
  ]),
  reason: nullable(Type.String()),
  /** At least one; hosts of a wave swap together. `soakMs` null: until somebody lets it go on. */
  waves: Type.Array(
    Type.Object({ name: nullable(Type.String()), soakMs: nullable(Type.Number()) }),
  ),
  /** The wave that was opened last, from 0. */
  wave: Type.Integer(),
  /** After a healthy wave, before the next; the step lasts until `deadlineAt` at most. */
  between: nullable(Type.Object({ step: Type.Enum(['soak', 'pause', 'barrier']), since: instant })),
  /** The run that the fleet makes once per release, where this rollout asked for it. */
  once: nullable(
    Type.Object({
      state: Type.Enum(['told', 'done', 'failed', 'unknown']),
      /** The host that was elected. */
      name: nullable(HostName),
      message: nullable(Type.String()),
    }),
  ),
  /** The CLI's exit code of the end; null while the rollout is open. */
  exitCode: nullable(Type.Integer()),
  require: Type.String(),
  startedAt: instant,
  deadlineAt: instant,
  endedAt: nullable(instant),
  phases: Type.Array(Type.Object({ phase: Type.String(), at: instant })),
  participants: Type.Array(ParticipantView),
  excluded: Type.Array(Type.Object({ host: HostId, name: HostName, reason: Type.String() })),
  /** Taken out by an operator now; of a rollout that is not the newest, nobody. */
  drained: Type.Array(Type.Object({ host: HostId, name: HostName, reason: Type.String() })),
  /** Names of counted hosts of whom nothing is known at the end. */
  unknown: Type.Array(HostName),
  skewMs: nullable(Type.Number()),
  skewErrorMs: nullable(Type.Number()),
  requestedBy: Type.String(),
  /** In lists: whether the target counts as failed in this environment now, whatever came of this. */
  targetFailed: Type.Optional(nullable(FailureMark)),
})
export type RolloutView = Static<typeof RolloutView>
export const RolloutList = listOf(RolloutView)
export type RolloutList = Static<typeof RolloutList>

export const HostAppView = Type.Object({
  app: App,
  environment: Environment,
  phase: HostPhaseView,
  runs: nullable(Version),
  standing: Type.Enum(['run', 'before', 'kept', 'held', 'elsewhere', 'unknown']),
  serving: Type.Boolean(),
  excluded: nullable(Type.String()),
  /** Why an operator took it out; null while it is in. */
  drained: nullable(Type.String()),
  failure: nullable(FailureView),
  /**
   * How the host judges releases, by its own trust file; `none` and `off` let unsigned ones in. Null
   * while it does not say.
   */
  trust: nullable(
    Type.Object({
      policy: Type.Enum(['require', 'warn', 'off', 'none', 'broken']),
      /** What is wrong with it, or with what it let in. */
      note: nullable(Type.String()),
    }),
  ),
})
export type HostAppView = Static<typeof HostAppView>

export const HostView = Type.Object({
  id: HostId,
  name: HostName,
  connected: Type.Boolean(),
  lastSeenAt: nullable(instant),
  enrolledAt: instant,
  /** When two agents were found to use its identity: neither is let in until it is removed. */
  clonedAt: nullable(instant),
  /** Null while it is not connected. */
  channel: nullable(
    Type.Object({
      /** `bound` to its TLS; `unbound`: a proxy ends TLS; `plain`: no TLS at all. */
      binding: Type.Enum(['bound', 'unbound', 'plain']),
      /** The pins of the controller that it has stored; none where its owner configured them. */
      pins: Type.Array(Type.String()),
    }),
  ),
  agentVersion: nullable(Type.String()),
  roundTripMs: nullable(Type.Number()),
  clockErrorMs: nullable(Type.Number()),
  /** As its agent says, or said when it was last connected. */
  labels: Type.Record(Type.String(), Type.String()),
  apps: Type.Array(HostAppView),
})
export type HostView = Static<typeof HostView>
export const HostList = listOf(HostView)
export type HostList = Static<typeof HostList>

export const FreezeView = Type.Object({
  reason: Type.String(),
  /** Whom to ask about it. */
  owner: Type.String(),
  /** The token that it was asked for with. */
  by: Type.String(),
  at: instant,
})

export const EnvironmentView = Type.Object({
  app: App,
  environment: Environment,
  /** Null while rollouts may be started. */
  freeze: nullable(FreezeView),
  /** The environment in which a release has to be committed first. */
  requires: nullable(Environment),
  /** How many others have to approve what somebody asks for. */
  approvals: Type.Integer(),
  desired: nullable(ReleaseRef),
  committed: nullable(ReleaseRef),
  fence: nullable(Type.Object({ term: Type.Integer(), epoch: Type.Integer() })),
  fencedBy: Type.Array(
    Type.Object({
      host: HostId,
      name: HostName,
      term: Type.Integer(),
      epoch: Type.Integer(),
      why: Type.String(),
    }),
  ),
  /** The open rollout, or the last that ended. */
  rollout: nullable(RolloutView),
  /** The last releases that failed here, the newest first: `lockstep rollback` never chooses them. */
  failed: Type.Array(Type.Object({ release: ReleaseRef, mark: FailureMark })),
  hosts: Type.Array(HostView),
})
export type EnvironmentView = Static<typeof EnvironmentView>

export const AppEnvironment = Type.Object({ app: App, environment: Environment }, closed)

// ---- events ----------------------------------------------------------------------------------

/**
 * One server-sent event of `GET /v1/events`. `event: fact` carries a recorded fact and has an id
 * to resume after; `event: change` says that a view is worth reading again.
 */
export const FactView = Type.Object({
  id: Type.Integer(),
  at: instant,
  app: App,
  environment: Environment,
  type: Type.String(),
  rollout: nullable(Type.String()),
  host: nullable(Type.String()),
  text: Type.String(),
})
export type FactView = Static<typeof FactView>
export const FactList = listOf(FactView)
export type FactList = Static<typeof FactList>

export const HealthView = Type.Object({ status: Type.Literal('ok'), version: Type.String() })
export type HealthView = Static<typeof HealthView>
