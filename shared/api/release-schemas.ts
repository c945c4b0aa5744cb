// The bodies of what happens to releases after they were published: comparing, removing, pruning.

import { type Static, type TSchema, Type } from 'typebox'
import { limits } from '../limits.ts'
import { App, Digest, Environment, Version } from './schemas.ts'

const closed = { additionalProperties: false }
const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])
const ReleaseRef = Type.Object({ version: Version, tree: Digest })

const EntryView = nullable(
  Type.Object({
    type: Type.Enum(['directory', 'file', 'link']),
    mode: nullable(Type.Integer()),
    sizeBytes: nullable(Type.Integer()),
    sha256: nullable(Digest),
    target: nullable(Type.String()),
  }),
)

/** One path that differs between two releases; `from` is null where it is new, `to` where it went. */
export const DifferenceView = Type.Object({
  path: Type.String(),
  change: Type.Enum(['added', 'removed', 'changed']),
  /** In what it changed. */
  what: Type.Array(Type.Enum(['type', 'content', 'mode', 'target'])),
  from: EntryView,
  to: EntryView,
})
export type DifferenceView = Static<typeof DifferenceView>

/** `bytes` of files alone; of `changed` as they are afterwards. */
const Tally = Type.Object({ entries: Type.Integer(), bytes: Type.Integer() })

export const DiffView = Type.Object({
  app: App,
  from: ReleaseRef,
  to: ReleaseRef,
  totals: Type.Object({ added: Tally, removed: Tally, changed: Tally, same: Tally }),
  /** What a host that holds the first release still fetches, before compression. */
  delta: Type.Object({ files: Type.Integer(), bytes: Type.Integer() }),
  /** In the order of paths, from where `after` says. */
  items: Type.Array(DifferenceView),
  next: nullable(Type.String()),
})
export type DiffView = Static<typeof DiffView>

const ReleaseNeed = Type.Object({
  environment: Environment,
  need: Type.Enum(['committed', 'desired', 'target', 'fallback', 'told', 'way-back']),
})

export const PruneBody = Type.Object(
  {
    /** How many of the newest stay; without it what is set for the app. */
    keep: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.releasesKeptMax })),
    dryRun: Type.Optional(Type.Boolean()),
  },
  closed,
)
export type PruneBody = Static<typeof PruneBody>

/** Stored content that no release was made of any more: removed, or counted in a dry run. */
const SweptView = Type.Object({ files: Type.Integer(), bytes: Type.Integer() })

export const PruneAnswer = Type.Object({
  app: App,
  dryRun: Type.Boolean(),
  keep: Type.Integer(),
  removed: Type.Array(
    Type.Object({
      version: Version,
      tree: Digest,
      publishedAt: Type.Number(),
      treeBytes: Type.Integer(),
    }),
  ),
  /** Older than those that are kept, and needed all the same. */
  needed: Type.Array(Type.Object({ version: Version, by: Type.Array(ReleaseNeed) })),
  swept: SweptView,
})
export type PruneAnswer = Static<typeof PruneAnswer>

export const RemovedRelease = Type.Object({
  app: App,
  version: Version,
  tree: Digest,
  swept: SweptView,
})
export type RemovedRelease = Static<typeof RemovedRelease>

export const KeepBody = Type.Object(
  { keep: Type.Integer({ minimum: 1, maximum: limits.releasesKeptMax }) },
  closed,
)
export const KeepView = Type.Object({ app: App, keep: Type.Integer() })
export type KeepView = Static<typeof KeepView>
