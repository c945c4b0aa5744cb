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

/** Where a signature has to have been meant for. */
export interface SignedHere {
  /** This controller's id. */
  readonly controller: string
  /** Of the connection that it came on; empty where this controller speaks no TLS itself. */
  readonly exporter: string
}

/** @throws LockstepError `bad-signature` when not all of it was signed, for here, by the key in it. */
export function checkEnrolment(body: EnrolBody, here: SignedHere): { host: string } {
  if (!isSignedBy(body.publicKey, enrolmentBytes({ ...body, ...here }), body.signature)) {
    throw new LockstepError('bad-signature', 'the enrolment is not signed for this connection', {
      hint:
        'Where a proxy ends TLS, start the controller with --behind-proxy and say ' +
        '`channel-binding = "off"` in agent.toml. Otherwise somebody sits in between.',
    })
  }
  return { host: hostIdOf(Buffer.from(body.publicKey, 'base64url')) }
}

export function isUpgradeSigned(
  publicKey: string,
  authorization: UpgradeAuthorization,
  here: SignedHere,
): boolean {
  return isSignedBy(publicKey, upgradeBytes({ ...authorization, ...here }), authorization.signature)
}

function isSignedBy(publicKey: string, bytes: Uint8Array, signature: string): boolean {
  const key = createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: publicKey } })
  return verify(null, bytes, key, Buffer.from(signature, 'base64url'))
}
