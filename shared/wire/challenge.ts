// The bytes that an agent signs with its Ed25519 key, when it enrols and at every upgrade to the
// agents' channel (docs/protocol.md, "Identity"). Each text begins with its purpose, so that a
// signature for one can never pass for the other.

import { protocolVersion } from './messages.ts'

/** All that an enrolment says. */
export interface Enrolment {
  readonly token: string
  readonly name: string
  /** Raw, base64url. */
  readonly publicKey: string
  readonly apps: readonly { readonly app: string; readonly environment: string }[]
}

/** Signed at enrolment: proves that the holder of the key asked for just this. */
export function enrolmentBytes({ token, name, publicKey, apps }: Enrolment): Buffer {
  // An id has no slash in it.
  const places = apps.map(({ app, environment }) => `${app}/${environment}`)
  return Buffer.from(['lockstep-enrol-v2', token, name, publicKey, ...places].join('\n'))
}

/** Signed at every upgrade: the nonce is the controller's, good once and for a short time. */
export function upgradeBytes(controller: string, host: string, nonce: string): Buffer {
  return Buffer.from(
    ['lockstep-ws-v1', controller, host, nonce, String(protocolVersion)].join('\n'),
  )
}

/** The `Authorization` header of an upgrade. */
export function formatUpgradeAuthorization(parts: UpgradeAuthorization): string {
  return `LockstepAgent id=${parts.host},nonce=${parts.nonce},signature=${parts.signature}`
}

export interface UpgradeAuthorization {
  host: string
  nonce: string
  /** Ed25519 over `upgradeBytes`, base64url. */
  signature: string
}

/** Null for any other header. */
export function parseUpgradeAuthorization(header: string | undefined): UpgradeAuthorization | null {
  const match =
    /^LockstepAgent id=([0-9A-Za-z_-]{26}),nonce=([0-9A-Za-z_-]{20,64}),signature=([0-9A-Za-z_-]{86})$/.exec(
      header ?? '',
    )
  const [, host, nonce, signature] = match ?? []
  if (host === undefined || nonce === undefined || signature === undefined) return null
  return { host, nonce, signature }
}
