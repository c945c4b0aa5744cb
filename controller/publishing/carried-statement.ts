// The signed statements that this controller carries for agents. It holds no keys and judges no
// signature: it looks only whether an envelope is one, of this release, and whether it may take the
// place of the one before.

import { LockstepError } from '#shared/errors.ts'
import { type Envelope, parseEnvelope, payloadTypes } from '#shared/trust/envelope.ts'
import { parseStatement, type Statement } from '#shared/trust/statement.ts'
import type { PublishedRelease } from '../store/release-store.ts'

/** What an envelope says of itself; nothing of it is proven. */
export interface CarriedStatement {
  readonly statement: Statement
  /** Ids of the keys that are said to have signed. */
  readonly signedBy: readonly string[]
}

/** @param text an envelope that was stored */
export function readCarried(text: string): CarriedStatement {
  const envelope = parseEnvelope(Buffer.from(text))
  const statement = parseStatement(envelope.payload)
  return { statement, signedBy: [...new Set(envelope.signatures.map(({ keyId }) => keyId))] }
}

/**
 * The envelope as it was sent.
 * @throws LockstepError `not-signed`.
 */
export function statementOf({
  app,
  version,
  statement,
}: Pick<PublishedRelease, 'app' | 'version' | 'statement'>): Buffer {
  if (statement !== null) return Buffer.from(statement)
  throw new LockstepError('not-signed', `${app} ${version} has no signed statement`, {
    hint: 'Sign it with `lockstep sign`, and send the statement with `lockstep statement send`.',
  })
}

export type Carried =
  | { readonly outcome: 'unchanged' }
  /** To be stored in place of what there was. */
  | { readonly outcome: 'stored'; readonly text: string; readonly sequence: number }

/**
 * What becomes of an envelope that somebody sends for a release. It takes the place of the one
 * before when it adds signatures to the same statement and keeps those that there were, or when it
 * is of another statement whose sequence is not lower: nobody takes a signature away by chance.
 *
 * @param content the envelope as it was sent, kept verbatim
 * @throws LockstepError `bad-envelope`, `other-release`, `statement-exists`.
 */
export function carry(release: PublishedRelease, content: Uint8Array): Carried {
  const envelope = parseEnvelope(content)
  if (envelope.payloadType !== payloadTypes.release) {
    throw new LockstepError('bad-envelope', 'the envelope is of something else than a release', {
      hint: 'Sign the statement of a release: `lockstep sign`.',
    })
  }
  const statement = parseStatement(envelope.payload)
  refuseOther(statement, release)
  // What was read without a fault is UTF-8, so that its text is its bytes.
  const text = Buffer.from(content).toString('utf8')
  if (release.statement === text) return { outcome: 'unchanged' }
  if (release.statement !== null) refuseLoss(release.statement, envelope, statement)
  return { outcome: 'stored', text, sequence: statement.sequence }
}

function refuseOther(statement: Statement, release: PublishedRelease): void {
  const { app, version, tree, artifact, artifactBytes } = release
  const facts: [string, unknown, unknown][] = [
    ['app', statement.app, app],
    ['version', statement.version, version],
    ['tree', statement.tree, tree],
    ['artifact', statement.artifact.sha256, artifact],
    ['artifact bytes', statement.artifact.bytes, artifactBytes],
  ]
  const other = facts.find(([, signed, published]) => signed !== published)
  if (other === undefined) return
  const [what, signed, published] = other
  const has = `${app} ${version} has ${String(published)}`
  const message = `the statement names the ${what} ${String(signed)}, and ${has}`
  throw new LockstepError('other-release', message, {
    hint: 'Sign what was published, or publish what was signed under its own version.',
    details: { signed, published },
  })
}

function refuseLoss(before: string, envelope: Envelope, statement: Statement): void {
  const present = parseEnvelope(Buffer.from(before))
  const { sequence } = parseStatement(present.payload)
  if (!Buffer.from(present.payload).equals(envelope.payload)) {
    if (statement.sequence >= sequence) return
    throw statementExists(`of sequence ${sequence}, which is above ${statement.sequence}`)
  }
  const given = new Set(envelope.signatures.map(textOf))
  const lost = present.signatures.filter((signature) => !given.has(textOf(signature)))
  if (lost.length === 0) return
  throw statementExists(`with signatures of ${lost.map(({ keyId }) => keyId).join(', ')} as well`)
}

function textOf({ keyId, signature }: Envelope['signatures'][number]): string {
  return `${keyId} ${Buffer.from(signature).toString('base64')}`
}

function statementExists(what: string): LockstepError {
  return new LockstepError('statement-exists', `the release has a statement ${what}`, {
    hint: 'Fetch the present statement, add the signature to it, and send that.',
  })
}
