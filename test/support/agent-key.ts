// An agent's key as tests hold it: signs what an agent signs, and what it should not.

import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import type { EnrolBody } from '#shared/api/enrolment.ts'
import { hostIdOf } from '#shared/ids.ts'
import { enrolmentBytes, formatUpgradeAuthorization, upgradeBytes } from '#shared/wire/challenge.ts'
import { shop } from './fleet-facts.ts'

export class AgentKey {
  readonly #key: KeyObject = generateKeyPairSync('ed25519').privateKey
  /** Raw, base64url. */
  readonly publicKey: string
  readonly host: string

  constructor() {
    const { x = '' } = createPublicKey(this.#key).export({ format: 'jwk' })
    this.publicKey = x
    this.host = hostIdOf(Buffer.from(x, 'base64url'))
  }

  sign(bytes: Uint8Array): string {
    return sign(null, bytes, this.#key).toString('base64url')
  }

  enrolment(token: string, name: string, apps: EnrolBody['apps'] = [{ ...shop }]): EnrolBody {
    const { publicKey } = this
    const enrolment = { token, name, publicKey, apps }
    return { ...enrolment, signature: this.sign(enrolmentBytes(enrolment)) }
  }

  /** The `Authorization` header of an upgrade. */
  authorization(controller: string, nonce: string, host = this.host): string {
    const signature = this.sign(upgradeBytes(controller, host, nonce))
    return formatUpgradeAuthorization({ host, nonce, signature })
  }
}
