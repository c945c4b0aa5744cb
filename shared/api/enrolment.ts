// The bodies of an agent's own requests: the challenge that it signs, and its enrolment.
// docs/protocol.md, "Identity".

import { type Static, Type } from 'typebox'
import { limits } from '../limits.ts'
import { AppEnvironment, HostId, HostName } from './schemas.ts'

const closed = { additionalProperties: false }

/** Of a controller, and of what it draws: base64url. */
const Drawn = Type.String({ pattern: '^[0-9A-Za-z_-]{1,64}$' })

export const EnrolBody = Type.Object(
  {
    token: Type.String({ maxLength: 200 }),
    name: HostName,
    /** Raw Ed25519 public key, 32 bytes, base64url. */
    publicKey: Type.String({ pattern: '^[0-9A-Za-z_-]{43}$' }),
    apps: Type.Array(AppEnvironment, { minItems: 1, maxItems: limits.appsPerHostMax }),
    /** Of a challenge that nobody has used yet. */
    nonce: Drawn,
    /** Ed25519 over the enrolment bytes, base64url: proves possession of the key. */
    signature: Type.String({ pattern: '^[0-9A-Za-z_-]{86}$' }),
  },
  closed,
)
export type EnrolBody = Static<typeof EnrolBody>

export const EnrolAnswer = Type.Object({ host: HostId, controller: Drawn })
export type EnrolAnswer = Static<typeof EnrolAnswer>

export const ChallengeAnswer = Type.Object({ nonce: Drawn, controller: Drawn })
export type ChallengeAnswer = Static<typeof ChallengeAnswer>
