// The statement that CI signs of a release: what it is, where it may run and until when. Owns its
// form; who signed it, and whether a host takes it, is judged elsewhere (trust-policy, floor).
//
//   { "statement": 1, "app": "shop", "version": "1.4.0", "sequence": 17, "tree": "…",
//     "artifact": { "sha256": "…", "bytes": 123 }, "environments": ["production"],
//     "expires": "2027-01-31T00:00:00Z", "floor": 12 }

import { type Static, Type } from 'typebox'
import { LockstepError } from '../errors.ts'
import { patterns } from '../ids.ts'
import { limits } from '../limits.ts'
import { parseInstant } from './instant.ts'
import { strictReader } from './strict-json.ts'

const closed = { additionalProperties: false }
const sequence = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })

export const artifactSchema = Type.Object(
  {
    sha256: Type.String({ pattern: patterns.digest }),
    bytes: Type.Integer({ minimum: 1, maximum: limits.artifactBytesMax }),
  },
  closed,
)

export const statementSchema = Type.Object(
  {
    statement: Type.Literal(1),
    app: Type.String({ pattern: patterns.app }),
    version: Type.String({ pattern: patterns.version }),
    /** Orders the releases of an app: CI counts up, and never gives a number twice. */
    sequence,
    tree: Type.String({ pattern: patterns.digest }),
    artifact: artifactSchema,
    environments: Type.Array(Type.String({ pattern: patterns.environment }), {
      minItems: 1,
      maxItems: limits.statementEnvironmentsMax,
    }),
    /** Not staged anew from this instant on; null for never. RFC 3339, UTC. */
    expires: Type.Union([Type.Null(), Type.String({ maxLength: 24 })]),
    /** The lowest sequence that may still be staged once this release is committed. */
    floor: Type.Optional(sequence),
  },
  closed,
)

/** The tarball, by content and size. */
export type Artifact = Static<typeof artifactSchema>

export type Statement = Static<typeof statementSchema> & {
  /** `expires` as epoch milliseconds; null for never. */
  readonly expiresAt: number | null
}

const read = strictReader({
  schema: statementSchema,
  what: 'the statement',
  bytesMax: limits.statementBytesMax,
  code: 'bad-envelope',
})

/**
 * @param payload what was signed, verbatim; only bytes whose signatures hold belong here
 * @throws LockstepError `bad-envelope`.
 */
export function parseStatement(payload: Uint8Array): Statement {
  const statement = read(payload)
  const { environments, expires, floor } = statement
  if (new Set(environments).size !== environments.length) {
    throw badStatement('names an environment twice')
  }
  const expiresAt = expires === null ? null : parseInstant(expires)
  if (expires !== null && expiresAt === null) {
    throw badStatement(`expires at no instant: ${JSON.stringify(expires)}`)
  }
  if (floor !== undefined && floor > statement.sequence) {
    throw badStatement(`has a floor of ${floor}, above its own sequence ${statement.sequence}`)
  }
  return { ...statement, expiresAt }
}

function badStatement(problem: string): LockstepError {
  return new LockstepError('bad-envelope', `the statement ${problem}`, {
    hint: 'Correct what signs the releases, and sign this one again.',
  })
}
