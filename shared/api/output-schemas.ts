// What the HTTP API says of the output of hooks.

import { type Static, Type } from 'typebox'

export const HookOutputView = Type.Object({
  /** Grows with each; `?after=` goes on behind one. */
  id: Type.Integer(),
  at: Type.Number(),
  /** The host's name, or its id when it was removed. */
  host: Type.String(),
  hook: Type.String(),
  stream: Type.Enum(['out', 'err']),
  /** Whole lines, with LF between them. */
  text: Type.String(),
  /** Its last line is cut off, or the last that is kept. */
  truncated: Type.Boolean(),
})
export type HookOutputView = Static<typeof HookOutputView>

export const HookOutputList = Type.Object({
  items: Type.Array(HookOutputView),
  next: Type.Union([Type.String(), Type.Null()]),
})
export type HookOutputList = Static<typeof HookOutputList>
