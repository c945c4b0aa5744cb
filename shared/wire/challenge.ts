// The bytes that an agent signs with its Ed25519 key, when it enrols and at every upgrade to the
// agents' channel (docs/protocol.md, "Identity"). Each text begins with its purpose, so that a
// signature for one can never pass for the other, and holds what binds it to the connection that it
// travels on, so that whoever sits in between cannot pass it on.

import { protocolVersion } from './messages.ts'

/** The label of what both ends of a TLS connection, and nobody else, can derive (RFC 9266). */
export const exporterLabel = 'EXPORTER-Channel-Binding'
export const exporterBytes = 32

/** All that an enrolment says, and where. */
export interface Enrolment {
  /** As it was given, with the pin of the controller in it. */
  readonly token: string
  /** The id of the controller that is meant. */
  readonly controller: string
  /** The controller's, good once and for a short time. */
  readonly nonce: string
  /** Of the TLS connection, base64url; empty where there is none, or a proxy ends it. */
  readonly exporter: string
  readonly name: string
  /** Raw, base64url. */
  readonly publicKey: string
  readonly apps: readonly { readonly app: string; readonly environment: string }[]
}

/** Signed at enrolment: proves that the holder of the key asked for just this, just here, just now. */
export function enrolmentBytes(enrolment: Enrolment): Buffer {
  const { token, controller, nonce, exporter, name, publicKey, apps } = enrolment
  // An id has no slash in it.
  const places = apps.map(({ app, environment }) => `${app}/${environment}`)
  return Buffer.from(
    ['lockstep-enrol-v3', token, controller, nonce, exporter, name, publicKey, ...places].join(
      '\n',
    ),
  )
}

/** One upgrade, and where. */
export interface Upgrade {
  /** The id of the controller that is meant. */
  readonly controller: string
  readonly host: string
  /** The controller's, good once and for a short time. */
  readonly nonce: string
  /** The agent's own: no two signatures are ever over the same text. */
  readonly clientNonce: string
  /** Of the TLS connection, base64url; empty where there is none, or a proxy ends it. */
  readonly exporter: string
}

/** Signed at every upgrade. */
export function upgradeBytes(upgrade: Upgrade): Buffer {
  const { controller, host, nonce, clientNonce, exporter } = upgrade
  const version = String(protocolVersion)
  return Buffer.from(
    ['lockstep-ws-v2', controller, host, nonce, clientNonce, version, exporter].join('\n'),
  )
}

/** The `Authorization` header of an upgrade. */
export function formatUpgradeAuthorization(parts: UpgradeAuthorization): string {
  const { host, nonce, clientNonce, signature } = parts
  return `LockstepAgent id=${host},nonce=${nonce},client=${clientNonce},signature=${signature}`
}

export interface UpgradeAuthorization extends Pick<Upgrade, 'host' | 'nonce' | 'clientNonce'> {
  /** Ed25519 over `upgradeBytes`, base64url. */
  readonly signature: string
}

const authorizationPattern =
  /^LockstepAgent id=([\w-]{26}),nonce=([\w-]{20,64}),client=([\w-]{20,64}),signature=([\w-]{86})$/

/** Null for any other header. */
export function parseUpgradeAuthorization(header: string | undefined): UpgradeAuthorization | null {
  const [, host, nonce, clientNonce, signature] = authorizationPattern.exec(header ?? '') ?? []
  if (host === undefined || nonce === undefined) return null
  if (clientNonce === undefined || signature === undefined) return null
  return { host, nonce, clientNonce, signature }
}
