// Files with a signed statement: read with what they say, and held against what a release really is.

import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { type Envelope, parseEnvelope, payloadTypes } from '#shared/trust/envelope.ts'
import { parseStatement, type Statement } from '#shared/trust/statement.ts'
import { readGivenFile } from '../given-file.ts'
import type { TarballFacts } from '../tarball/tarball-facts.ts'

export interface StatementFile {
  /** As it lies there: what is sent. */
  readonly content: Buffer
  readonly envelope: Envelope
  /** What it says; who says it is another question. */
  readonly statement: Statement
}

/** @throws LockstepError `bad-usage`, `bad-envelope`. */
export async function readStatementFile(path: string): Promise<StatementFile> {
  const { content } = await readGivenFile(path, 'the statement', limits.envelopeBytesMax)
  return parseStatementFile(content)
}

/** @throws LockstepError `bad-envelope`. */
export function parseStatementFile(content: Buffer): StatementFile {
  const envelope = parseEnvelope(content)
  if (envelope.payloadType !== payloadTypes.release) {
    throw new LockstepError('bad-envelope', 'the envelope is of something else than a release')
  }
  return { content, envelope, statement: parseStatement(envelope.payload) }
}

export interface Release {
  readonly app: string
  readonly version: string
  /** Null before the tarball was read. */
  readonly facts: TarballFacts | null
}

/** @throws LockstepError `other-release` when the statement is of another one */
export function checkIsOf(statement: Statement, { app, version, facts }: Release): void {
  const { tree, artifact } = statement
  const pairs: [what: string, signed: unknown, real: unknown][] = [
    ['app', statement.app, app],
    ['version', statement.version, version],
  ]
  if (facts !== null) {
    pairs.push(
      ['tree', tree, facts.tree],
      ['tarball', artifact.sha256, facts.artifact],
      ['tarball size', artifact.bytes, facts.artifactBytes],
    )
  }
  const other = pairs.find(([, signed, real]) => signed !== real)
  if (other === undefined) return
  const [what, signed, real] = other
  const message = `the statement names the ${what} ${String(signed)}, and here it is ${String(real)}`
  throw new LockstepError('other-release', message, {
    hint: 'Look which of the two is meant. A tarball that was packed anew has to be signed anew.',
    details: { signed, real },
  })
}
