// Proof that an agent holds the key that it enrolled: the nonces that it signs, and the check of
// its signatures (Ed25519, RFC 8032). docs/protocol.md, "Identity".

import { createPublicKey, randomBytes, verify } from 'node:crypto'
import type { Clock } from '#shared/clock.ts'
import { LockstepError } from '#shared/errors.ts'
import { hostIdOf } from '#shared/ids.ts'
import { limits } from '#shared/limits.ts'
import type { EnrolBody } from '#shared/api/enrolment.ts'
import { enrolmentBytes, type UpgradeAuthorization, upgradeBytes } from '#shared/wire/challenge.ts'

/** Outstanding nonces; beyond it the oldest are forgotten, and their agents ask again. */
const noncesMax = 20_000

export class Challenges {
  readonly #clock: Clock
  readonly #expiry = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  draw(): string {
    const nonce = randomBytes(24).toString('base64url')
    this.#expiry.set(nonce, this.#clock.now() + limits.challengeMs)
    if (this.#expiry.size > noncesMax) {
      const [oldest] = this.#expiry.keys()
      if (oldest !== undefined) this.#expiry.delete(oldest)
    }
    return nonce
  }

  /** Whether the nonce was drawn here and is still good; it is good once. */
  use(nonce: string): boolean {
    const expiresAt = this.#expiry.get(nonce)
    this.#expiry.delete(nonce)
    return expiresAt !== undefined && expiresAt > this.#clock.now()
  }
}

/** @throws LockstepError `bad-signature` when not the whole body was signed by the key in it. */
export function checkEnrolment(body: EnrolBody): { host: string } {
  if (!isSignedBy(body.publicKey, enrolmentBytes(body), body.signature)) {
    throw new LockstepError('bad-signature', 'the enrolment is not signed by the key in it', {
      hint: 'The agent\u2019s identity file may be damaged; remove it and join again.',
    })
  }
  return { host: hostIdOf(Buffer.from(body.publicKey, 'base64url')) }
}

export function isUpgradeSigned(
  publicKey: string,
  controller: string,
  authorization: UpgradeAuthorization,
): boolean {
  const { host, nonce, signature } = authorization
  return isSignedBy(publicKey, upgradeBytes(controller, host, nonce), signature)
}

function isSignedBy(publicKey: string, bytes: Uint8Array, signature: string): boolean {
  const key = createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: publicKey } })
  return verify(null, bytes, key, Buffer.from(signature, 'base64url'))
}
