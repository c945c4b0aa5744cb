// Every message of the agents' channel, in both directions: JSON text frames, dispatched by `type`.
// docs/protocol.md describes them; unknown members are refused, so that a typo is never a default.

import { type Static, Type } from 'typebox'
import { patterns } from '../ids.ts'
import { limits } from '../limits.ts'

/** Raised by every change that an older peer would misunderstand. */
export const protocolVersion = 1

const closed = { additionalProperties: false }
const nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()])

const app = Type.String({ pattern: patterns.app })
const environment = Type.String({ pattern: patterns.environment })
const instant = Type.Number({ minimum: 0 })
const count = Type.Integer({ minimum: 0 })
/** Milliseconds that a host may ask for; what it says more is no reason to wait for ever. */
const duration = Type.Integer({ minimum: 0, maximum: limits.declaredMsMax })
/** Of the controller's key, and of the next one while it is replaced; none without TLS. */
const pins = Type.Array(Type.String({ pattern: patterns.pin }), { maxItems: limits.pinsMax })
const text = (maxLength: number) => Type.String({ maxLength })

const release = Type.Object(
  {
    version: Type.String({ pattern: patterns.version }),
    tree: Type.String({ pattern: patterns.digest }),
  },
  closed,
)

const fence = Type.Object(
  {
    term: Type.Integer({ minimum: 1, maximum: limits.fenceNumberMax }),
    epoch: Type.Integer({ minimum: 1, maximum: limits.fenceNumberMax }),
    hash: Type.String({ pattern: patterns.digest }),
  },
  closed,
)

// ---- up: what the agent sends --------------------------------------------------------------

export const hello = Type.Object(
  {
    type: Type.Literal('hello'),
    protocol: Type.Integer({ minimum: 1 }),
    /** Of the agent's program, for people. */
    agentVersion: text(64),
    /** Drawn anew at every start of the process: tells a restart from a clone. */
    instance: Type.String({ pattern: '^[0-9a-f]{32}$' }),
    apps: Type.Array(Type.Object({ app, environment }, closed), {
      maxItems: limits.appsPerHostMax,
    }),
    /** What the host's owner calls it, for choosing among hosts. */
    labels: Type.Record(
      Type.String({ pattern: patterns.labelName }),
      Type.String({ pattern: patterns.labelValue }),
      { ...closed, maxProperties: limits.labelsPerHostMax },
    ),
  },
  closed,
)

export const observed = Type.Object(
  {
    type: Type.Literal('observed'),
    app,
    environment,
    seq: Type.Integer({ minimum: 1 }),
    fence: nullable(fence),
    phase: Type.Enum([
      'idle',
      'fetching',
      'staged',
      'ready',
      'activating',
      'active',
      'healthy',
      'failed',
    ]),
    failure: nullable(
      Type.Object(
        {
          code: Type.String({ pattern: '^[a-z-]{1,40}$' }),
          message: text(limits.messageTextCharsMax),
          hint: Type.Optional(text(limits.messageTextCharsMax)),
        },
        closed,
      ),
    ),
    current: nullable(release),
    standing: Type.Enum(['run', 'before', 'kept', 'held', 'elsewhere']),
    ready: nullable(
      Type.Object(
        {
          target: Type.String({ pattern: patterns.digest }),
          fallback: nullable(Type.String({ pattern: patterns.digest })),
        },
        closed,
      ),
    ),
    progress: nullable(Type.Object({ bytes: count, bytesTotal: count }, closed)),
    activation: nullable(
      Type.Object(
        { activatedAt: instant, errorMs: instant, mode: Type.Enum(['timed', 'on-receipt']) },
        closed,
      ),
    ),
    conflict: nullable(fence),
    clock: nullable(Type.Object({ roundTripMs: instant, errorMs: instant }, closed)),
    serving: Type.Boolean(),
    declares: Type.Object(
      {
        gateMs: duration,
        activationMs: duration,
        once: nullable(Type.String({ pattern: patterns.digest })),
        onceMs: duration,
        onceWhenRollingBack: Type.Boolean(),
      },
      closed,
    ),
    once: nullable(
      Type.Object(
        {
          fence,
          tree: Type.String({ pattern: patterns.digest }),
          state: Type.Enum(['running', 'done', 'failed', 'interrupted']),
          message: nullable(text(limits.messageTextCharsMax)),
        },
        closed,
      ),
    ),
    /** How it judges releases, by its own trust file. */
    trust: Type.Optional(
      Type.Object(
        {
          policy: Type.Enum(['require', 'warn', 'off', 'none', 'broken']),
          note: nullable(text(limits.messageTextCharsMax)),
        },
        closed,
      ),
    ),
  },
  closed,
)

/** Asks for the controller's clock; `sentAt` is the agent's own and only comes back. */
export const clockAsked = Type.Object(
  { type: Type.Literal('clock'), sentAt: Type.Number() },
  closed,
)

/** What the agent has stored of the pins that `welcome` named: with these it finds back. */
export const pinned = Type.Object({ type: Type.Literal('pinned'), pins }, closed)

/** Output of a hook, best effort: lost while there is no session. */
export const log = Type.Object(
  {
    type: Type.Literal('log'),
    app,
    environment,
    fence,
    hook: Type.Enum([
      'after-stage',
      'before-activate',
      'after-activate',
      'on-rollback',
      'on-failure',
      'once',
    ]),
    stream: Type.Enum(['out', 'err']),
    /** Whole lines, with LF between them. */
    text: text(limits.hookTextCharsMax),
    /** Its last line is cut off, or the last that is kept. */
    truncated: Type.Boolean(),
  },
  closed,
)

// ---- down: what the controller sends -------------------------------------------------------

const auditHead = Type.Object(
  {
    sequence: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    hash: Type.String({ pattern: patterns.digest }),
  },
  closed,
)

export const welcome = Type.Object(
  {
    type: Type.Literal('welcome'),
    /** Bearer token for the content routes; renewed by another `welcome`. */
    contentToken: Type.String({ pattern: '^[0-9A-Za-z._-]{1,200}$' }),
    pins,
    /** The newest entry of the audit trail, to be kept: docs/audit.md, "Anchors". */
    audit: Type.Optional(auditHead),
  },
  closed,
)

export const desired = Type.Object(
  {
    type: Type.Literal('desired'),
    app,
    environment,
    fence,
    kind: Type.Enum(['stage', 'prepare', 'activate', 'roll-back', 'settle']),
    hold: Type.Boolean(),
    drain: Type.Boolean(),
    run: Type.Object(
      {
        release: nullable(release),
        fallback: nullable(release),
        activateAt: nullable(instant),
      },
      closed,
    ),
    stage: nullable(release),
    once: Type.Boolean(),
    history: Type.Array(release, { maxItems: limits.historyItemsMax }),
  },
  closed,
)

export const clockTold = Type.Object(
  { type: Type.Literal('clock'), sentAt: Type.Number(), at: instant },
  closed,
)

/** The last message before the controller closes the connection. */
export const refused = Type.Object(
  {
    type: Type.Literal('refused'),
    code: Type.String({ pattern: '^[a-z-]{1,40}$' }),
    message: text(limits.messageTextCharsMax),
    hint: Type.Optional(text(limits.messageTextCharsMax)),
  },
  closed,
)

export const upSchemas = { hello, observed, clock: clockAsked, pinned, log }
export const downSchemas = { welcome, desired, clock: clockTold, refused }

export type Hello = Static<typeof hello>
export type ObservedMessage = Static<typeof observed>
export type ClockAsked = Static<typeof clockAsked>
export type LogMessage = Static<typeof log>
export type Pinned = Static<typeof pinned>
export type UpMessage = Hello | ObservedMessage | ClockAsked | Pinned | LogMessage

export type Welcome = Static<typeof welcome>
export type DesiredMessage = Static<typeof desired>
export type ClockTold = Static<typeof clockTold>
export type RefusedMessage = Static<typeof refused>
export type DownMessage = Welcome | DesiredMessage | ClockTold | RefusedMessage
