// An agent's key as tests hold it: signs what an agent signs, and what it should not.

import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import type { ChallengeAnswer, EnrolBody } from '#shared/api/enrolment.ts'
import { hostIdOf } from '#shared/ids.ts'
import {
  type Enrolment,
  enrolmentBytes,
  formatUpgradeAuthorization,
  type Upgrade,
  upgradeBytes,
} from '#shared/wire/challenge.ts'
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

  /** @param changes of what is signed, and sent */
  enrolment(
    token: string,
    name: string,
    { nonce, controller }: ChallengeAnswer,
    changes: Partial<Enrolment> = {},
  ): EnrolBody {
    const { publicKey } = this
    const common = { token, name, publicKey, nonce, apps: [{ ...shop }] }
    const enrolment: Enrolment = { ...common, controller, exporter: '', ...changes }
    const signature = this.sign(enrolmentBytes(enrolment))
    const { controller: _, exporter: _exporter, apps, ...body } = enrolment
    return { ...body, apps: apps.map((place) => ({ ...place })), signature }
  }

  /** The `Authorization` header of an upgrade. @param changes of what is signed */
  authorization(
    controller: string,
    nonce: string,
    host = this.host,
    changes: Partial<Upgrade> = {},
  ): string {
    const upgrade = { controller, host, nonce, clientNonce: 'c'.repeat(32), exporter: '' }
    const signature = this.sign(upgradeBytes({ ...upgrade, ...changes }))
    return formatUpgradeAuthorization({ ...upgrade, signature })
  }
}
