// Makes the statement of a release from what its tarball is and what its publisher says of it.

import { LockstepError } from '#shared/errors.ts'
import { type Envelope, payloadTypes } from '#shared/trust/envelope.ts'
import { parseStatement, type Statement } from '#shared/trust/statement.ts'
import { misuse } from '../arguments.ts'
import type { TarballFacts } from '../tarball/tarball-facts.ts'

export interface Claims {
  readonly app: string
  readonly version: string
  readonly sequence: number
  readonly environments: readonly string[]
  /** Epoch milliseconds, rounded up to seconds; null for never. */
  readonly expiresAt: number | null
  readonly floor: number | undefined
}

/** What is to be signed: an envelope without a signature yet. */
export interface Unsigned {
  readonly statement: Statement
  readonly envelope: Envelope
}

/** @throws LockstepError `bad-usage` when the claims do not fit together */
export function statementOf(claims: Claims, facts: TarballFacts): Unsigned {
  const { app, version, sequence, environments, expiresAt, floor } = claims
  const payload = Buffer.from(
    JSON.stringify({
      statement: 1,
      app,
      version,
      sequence,
      tree: facts.tree,
      artifact: { sha256: facts.artifact, bytes: facts.artifactBytes },
      environments,
      expires: expiresAt === null ? null : secondText(expiresAt),
      ...(floor === undefined ? {} : { floor }),
    }),
  )
  const envelope = { payloadType: payloadTypes.release, payload, signatures: [] }
  try {
    return { statement: parseStatement(payload), envelope }
  } catch (error) {
    if (!(error instanceof LockstepError) || error.code !== 'bad-envelope') throw error
    throw misuse(error.message, 'Correct the options that say what is signed.')
  }
}

function secondText(at: number): string {
  return new Date(Math.ceil(at / 1000) * 1000).toISOString().replace('.000Z', 'Z')
}
