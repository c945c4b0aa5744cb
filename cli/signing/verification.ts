// Whether a signed statement would be trusted, judged as a host judges it: by a trust file, or by keys
// that all have to have signed. Needs nobody's word and no network.

import { LockstepError } from '#shared/errors.ts'
import type { PublicKey } from '#shared/trust/public-key.ts'
import { type TrustPolicy, verifyRelease } from '#shared/trust/trust-policy.ts'
import type { Release, StatementFile } from './statement-file.ts'

export interface Verified {
  readonly environment: string
  /** Names of the keys that signed; null where the trust file asks for no signatures. */
  readonly signers: readonly string[] | null
}

export interface VerificationQuestion extends Omit<StatementFile, 'envelope'> {
  readonly policy: TrustPolicy
  readonly release: Release
  /** Each has to be one that the statement allows. */
  readonly environments: readonly string[]
  /** Epoch milliseconds. */
  readonly at: number
}

/** @throws LockstepError `not-trusted` */
export function verify(question: VerificationQuestion): readonly Verified[] {
  const { content, statement, policy, release, environments, at } = question
  const { app, version, facts } = release
  const artifact = facts && { sha256: facts.artifact, bytes: facts.artifactBytes }
  const wanted = { version, tree: facts?.tree ?? statement.tree, ...(artifact && { artifact }) }
  const verified = environments.map((environment): Verified => {
    const verdict = verifyRelease({
      envelope: content,
      policy,
      app,
      environment,
      release: wanted,
      at,
    })
    if (verdict.outcome === 'trusted') return { environment, signers: verdict.signers }
    if (verdict.outcome === 'not-asked') return { environment, signers: null }
    throw notTrusted(`for ${environment}: ${verdict.message}`, { reason: verdict.reason })
  })
  if (verified.every(({ signers }) => signers === null)) {
    const names = environments.join(', ')
    throw notTrusted(`nothing is: the trust file asks for no signatures for ${names}`)
  }
  const { expires, expiresAt } = statement
  if (expiresAt === null || at < expiresAt) return verified
  throw notTrusted(`any more: it expired at ${expires}`, { reason: 'expired' })
}

export interface NamedKey {
  /** Where it came from. */
  readonly name: string
  readonly key: PublicKey
}

/** All of the keys have to have signed, for whatever environment. */
export function policyOf(keys: readonly NamedKey[]): TrustPolicy {
  const distinct = new Map(keys.map((named) => [named.key.id, named]))
  const trusted = [...distinct.values()].map((named) => ({
    ...named,
    notBeforeAt: null,
    notAfterAt: null,
  }))
  const rule = { policy: 'require' as const, threshold: trusted.length, keys: trusted }
  return { version: 1, keys: trusted, rules: new Map([['*', rule]]) }
}

function notTrusted(problem: string, details?: Record<string, string>): LockstepError {
  return new LockstepError('not-trusted', `the statement is not trusted ${problem}`, {
    hint: 'A host with this trust would not take the release.',
    ...(details && { details }),
  })
}
