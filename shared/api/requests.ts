// What people ask of an environment, and what it answers: bodies of the HTTP API that change
// something. Unknown members are refused, so that a typo is never a default.

import { type Static, Type } from 'typebox'
import { patterns } from '../ids.ts'
import { limits } from '../limits.ts'
import {
  App,
  Environment,
  EnvironmentView,
  FreezeView,
  HostName,
  nullable,
  ReleaseRef,
  RolloutView,
  Version,
} from './schemas.ts'

const closed = { additionalProperties: false }
const text = Type.String({ minLength: 1, maxLength: limits.reasonCharsMax })

/** Why it is asked for, percent-encoded: for the audit trail, with any request that changes something. */
export const reasonHeader = 'lockstep-reason'

/** `all`, a number of hosts, or a percentage: `"all"`, `"3"`, `"60%"`. */
export const requirePattern = '^(all|[1-9][0-9]{0,5}|(100|[1-9][0-9]?)%)$'

const label = `${unanchored(patterns.labelName)}=${unanchored(patterns.labelValue)}`

/** `role=web`, or several that are all required: `role=web,zone=a`. */
export const Selector = Type.String({ pattern: `^${label}(,${label})*$`, maxLength: 1000 })

/** Exactly one of `hosts`, `label`, `count` and `percent` says whom it takes. */
export const WaveBody = Type.Object(
  {
    name: Type.Optional(Type.String({ pattern: patterns.labelValue })),
    hosts: Type.Optional(
      Type.Array(HostName, { minItems: 1, maxItems: limits.hostsPerEnvironmentMax }),
    ),
    label: Type.Optional(Selector),
    count: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.hostsPerEnvironmentMax })),
    /** Of all that take part, rounded up. */
    percent: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
    /** The rest before the next wave, milliseconds; without it that waits for `continue`. */
    soakMs: Type.Optional(Type.Integer({ minimum: 0, maximum: limits.pauseDeadlineMs })),
  },
  closed,
)
export type WaveBody = Static<typeof WaveBody>

/** How a rollout goes about it; what is left out is the default. */
const policy = {
  require: Type.Optional(Type.String({ pattern: requirePattern })),
  /** How long to wait for readiness, milliseconds. */
  waitMs: Type.Optional(Type.Integer({ minimum: 1000, maximum: limits.stageDeadlineMs })),
  /** Host name → reason. */
  exclude: Type.Optional(Type.Record(HostName, text, closed)),
  /** Only hosts with these labels; any one of several. The others are excluded. */
  on: Type.Optional(Type.Array(Selector, { minItems: 1, maxItems: limits.labelsPerHostMax })),
  allowEmpty: Type.Optional(Type.Boolean()),
  /** In this order; hosts that no wave takes form a last one. Without any, all swap together. */
  waves: Type.Optional(Type.Array(WaveBody, { minItems: 1, maxItems: limits.wavesMax })),
  /** Of the run that a fleet makes once per release: it was done otherwise, or it runs again. */
  once: Type.Optional(Type.Enum(['done', 'run'])),
  /** Makes that run again although the last one may still be under way. */
  force: Type.Optional(Type.Boolean()),
}

export const DesiredBody = Type.Object({ version: Version, ...policy }, closed)
export type DesiredBody = Static<typeof DesiredBody>

export const PromoteBody = Type.Object(
  {
    /** The environment whose committed release moves. */
    from: Environment,
    ...policy,
  },
  closed,
)
export type PromoteBody = Static<typeof PromoteBody>

export type Policy = Omit<DesiredBody, 'version'>

export const RollbackBody = Type.Object({ version: Type.Optional(Version) }, closed)
export type RollbackBody = Static<typeof RollbackBody>

export const RecoverBody = Type.Object({ run: Type.Optional(Version) }, closed)
export type RecoverBody = Static<typeof RecoverBody>

export const FreezeBody = Type.Object(
  {
    reason: text,
    /** Whom to ask about it; the token's id where nobody is named. */
    owner: Type.Optional(text),
  },
  closed,
)
export type FreezeBody = Static<typeof FreezeBody>

const Approvals = Type.Integer({ minimum: 0, maximum: 1 })

export const SettingsBody = Type.Object(
  {
    /** The environment in which a release has to be committed first; null for none. */
    requires: Type.Optional(nullable(Environment)),
    /** How many others have to approve what somebody asks for. */
    approvals: Type.Optional(Approvals),
    reason: Type.Optional(text),
  },
  closed,
)
export type SettingsBody = Static<typeof SettingsBody>

export const SettingsView = Type.Object({
  freeze: nullable(FreezeView),
  requires: nullable(Environment),
  approvals: Approvals,
})
export type SettingsView = Static<typeof SettingsView>

export const DrainBody = Type.Object({ reason: text }, closed)
export type DrainBody = Static<typeof DrainBody>

/** A request for a release that another person has to approve. */
export const ApprovalView = Type.Object({
  id: Type.String(),
  app: App,
  environment: Environment,
  what: Type.Enum(['deploy', 'promote', 'rollback']),
  /** What is approved is this tree under this policy, and nothing else. */
  release: ReleaseRef,
  policy: Type.Record(Type.String(), Type.Unknown()),
  requestedBy: Type.String(),
  owner: nullable(Type.String()),
  why: nullable(Type.String()),
  requestedAt: Type.Number(),
  expiresAt: Type.Number(),
  state: Type.Enum([
    'waiting',
    'approving',
    'approved',
    'withdrawn',
    'declined',
    'void',
    'expired',
  ]),
  decidedBy: nullable(Type.String()),
  decidedAt: nullable(Type.Number()),
  /** That it started, once it was approved. */
  rollout: nullable(Type.String()),
})
export type ApprovalView = Static<typeof ApprovalView>
export const ApprovalList = Type.Object({
  items: Type.Array(ApprovalView),
  next: nullable(Type.String()),
})
export type ApprovalList = Static<typeof ApprovalList>

/** What a request for a release came to. */
export const DesiredAnswer = Type.Object({
  outcome: Type.Enum([
    'started',
    'open',
    'unchanged',
    'returned',
    'cancelled',
    'continued',
    'paused',
    'waiting',
  ]),
  /** The release that was asked for, where the request did not name it itself. */
  release: Type.Optional(ReleaseRef),
  rollout: nullable(RolloutView),
  /** Of a request that waits for another person. */
  approval: Type.Optional(ApprovalView),
  /** What the operator has to know besides. */
  notes: Type.Optional(Type.Array(Type.String())),
})
export type DesiredAnswer = Static<typeof DesiredAnswer>

export const RecoverAnswer = Type.Object({ environment: EnvironmentView })
export type RecoverAnswer = Static<typeof RecoverAnswer>

function unanchored(pattern: string): string {
  return `(?:${pattern.replace(/^\^/, '').replace(/\$$/, '')})`
}
