// The bodies of what is asked of the controller about itself: how it speaks, and whose pins are good.

import { type Static, type TSchema, Type } from 'typebox'

const closed = { additionalProperties: false }
const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])

const Pin = Type.String({ pattern: '^[0-9A-Za-z_-]{43}$' })

export const ControllerView = Type.Object({
  id: Type.String(),
  version: Type.String(),
  tls: Type.Object({
    mode: Type.Enum(['plain', 'own-ca', 'given', 'behind-proxy']),
    /** The one that is good now, and while the authority is rotated the next one. */
    pins: Type.Array(Pin),
    /** PEM of the certificates that they are the pins of; null where the controller shows none. */
    certificates: nullable(Type.String()),
    /** When the certificate that is shown now runs out; null where there is none. */
    expiresAt: nullable(Type.Number()),
  }),
  /** What its operator ought to know, each with what to do about it. */
  warnings: Type.Array(Type.String()),
})
export type ControllerView = Static<typeof ControllerView>

export const RotateBody = Type.Object(
  {
    /** Whether the next authority is to take over now; otherwise it is made and told of. */
    finish: Type.Optional(Type.Boolean()),
    /** Even though hosts have not stored its pin, which are shut out by it. */
    force: Type.Optional(Type.Boolean()),
  },
  closed,
)
export type RotateBody = Static<typeof RotateBody>
