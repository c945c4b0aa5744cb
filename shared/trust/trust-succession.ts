// How one trust file follows another without root at every host: signed by those whom the old one
// trusts and by those whom the new one trusts (as the root role of TUF, section 5.3).

import { LockstepError } from '../errors.ts'
import { type Envelope, parseEnvelope, payloadTypes } from './envelope.ts'
import { parseTrustPolicy, signersAt, tooFew, type TrustPolicy } from './trust-policy.ts'

export type SuccessionDoubt =
  | 'malformed'
  | 'other-type'
  | 'nobody-decides'
  | 'not-signed-by-old'
  | 'not-signed-by-new'
  | 'not-next-version'

export type Succession =
  | {
      readonly outcome: 'accepted'
      readonly policy: TrustPolicy
      /** The new trust file, verbatim. */
      readonly payload: Uint8Array
    }
  | { readonly outcome: 'refused'; readonly reason: SuccessionDoubt; readonly message: string }

/**
 * Whether the trust file in the envelope takes the place of `old`: its version is the next one, and
 * the thresholds of all environments are met, in the old file and in the new. A file that asks for no
 * signatures anywhere has nobody who could decide: root replaces it.
 *
 * @param at epoch milliseconds at which the keys have to be good
 */
export function judgeSuccession(old: TrustPolicy, content: Uint8Array, at: number): Succession {
  try {
    const envelope = parseEnvelope(content)
    if (envelope.payloadType !== payloadTypes.trust) {
      return refused('other-type', 'the envelope is of something else than a trust file')
    }
    const missing = missingOf(old, envelope, at)
    if (missing === null) {
      return refused('nobody-decides', 'the trust file in force asks for no signatures anywhere')
    }
    if (missing !== '') return refused('not-signed-by-old', `of the old trust file: ${missing}`)
    const policy = parseTrustPolicy(envelope.payload)
    if (policy.version !== old.version + 1) {
      const message = `version ${policy.version} does not follow version ${old.version}`
      return refused('not-next-version', message)
    }
    const missingNew = missingOf(policy, envelope, at) ?? ''
    if (missingNew !== '') return refused('not-signed-by-new', `of the new one: ${missingNew}`)
    return { outcome: 'accepted', policy, payload: envelope.payload }
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error
    if (error.code !== 'bad-envelope' && error.code !== 'bad-trust-file') throw error
    return refused('malformed', error.message)
  }
}

/** Empty when all thresholds are met; null when there are none. */
function missingOf(policy: TrustPolicy, envelope: Envelope, at: number): string | null {
  const rules = [...policy.rules].flatMap(([environment, rule]) =>
    rule.policy === 'off' ? [] : [{ environment, rule }],
  )
  if (rules.length === 0) return null
  const missing = rules.flatMap(({ environment, rule }) => {
    const signers = signersAt(envelope, rule.keys, at)
    return signers.length >= rule.threshold ? [] : [`${environment}: ${tooFew(signers, rule)}`]
  })
  return missing.join('; ')
}

function refused(reason: SuccessionDoubt, message: string): Succession {
  return { outcome: 'refused', reason, message }
}
