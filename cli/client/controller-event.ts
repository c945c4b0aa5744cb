// The events of the controller's stream by their types. A type that this command does not know is none of
// its business.

import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { App, Environment, FactView } from '#shared/api/schemas.ts'
import { LockstepError } from '#shared/errors.ts'
import type { ServerEvent } from './event-text.ts'

export type ControllerEvent =
  | { readonly type: 'fact'; readonly fact: FactView }
  /** The view of this environment is worth reading again. */
  | { readonly type: 'change'; readonly app: string; readonly environment: string }

const factView = Compile(FactView)
const change = Compile(Type.Object({ app: App, environment: Environment }))

/** @throws LockstepError `bad-answer` */
export function controllerEvent(event: ServerEvent): ControllerEvent | undefined {
  if (event.type !== 'fact' && event.type !== 'change') return undefined
  const data = parsed(event)
  if (event.type === 'fact' && factView.Check(data)) return { type: 'fact', fact: data }
  if (event.type === 'change' && change.Check(data)) return { type: 'change', ...data }
  throw malformed(event)
}

function parsed(event: ServerEvent): unknown {
  try {
    return JSON.parse(event.data)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw malformed(event)
  }
}

function malformed({ type }: ServerEvent): LockstepError {
  return new LockstepError('bad-answer', `an event ${type} of the controller is malformed`)
}
