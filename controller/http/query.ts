// Query strings: text, so that numbers are patterns, and to the letter: a filter that there is not
// would filter nothing.

import { type TProperties, Type } from 'typebox'
import { App, Environment } from '#shared/api/schemas.ts'

export function queryOf<const P extends TProperties>(properties: P) {
  return Type.Object(properties, { additionalProperties: false })
}

/** Both, one or none: what is not named is not filtered by. */
export const placeQuery = { app: Type.Optional(App), environment: Type.Optional(Environment) }

export const pageQuery = {
  after: Type.Optional(Type.String({ pattern: '^[0-9]{1,15}$' })),
  limit: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,3}$' })),
}
