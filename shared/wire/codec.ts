// Frames to messages and back. A frame that is too large, no JSON or of the wrong shape is an
// error that names the member, never a guess.

import type { Static, TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { LockstepError } from '../errors.ts'
import { limits } from '../limits.ts'
import { mistakeOf } from './desired-rules.ts'
import { type DownMessage, downSchemas, type UpMessage, upSchemas } from './messages.ts'

interface Checked<T> {
  check: (value: unknown) => value is T
  mistakes: (value: unknown) => string
}

const up = compileAll(upSchemas)
const down = compileAll(downSchemas)

/** @throws LockstepError `bad-message` or `too-large`. */
export function decodeUp(frame: string): UpMessage {
  return decode(frame, up)
}

/** @throws LockstepError `bad-message` or `too-large`. */
export function decodeDown(frame: string): DownMessage {
  const message = decode(frame, down)
  const mistake = message.type === 'desired' ? mistakeOf(message) : null
  if (mistake === null) return message
  throw new LockstepError('bad-message', `a desired message contradicts itself: ${mistake}`)
}

/** @throws LockstepError `too-large` when the message would not be accepted by the peer. */
export function encode(message: UpMessage | DownMessage): string {
  const frame = JSON.stringify(message)
  const sizeBytes = Buffer.byteLength(frame)
  if (sizeBytes <= limits.messageBytesMax) return frame
  throw new LockstepError('too-large', `a ${message.type} message of ${sizeBytes} bytes`, {
    hint: `Messages are at most ${limits.messageBytesMax} bytes.`,
  })
}

function decode<T>(frame: string, schemas: Record<string, Checked<T>>): T {
  if (Buffer.byteLength(frame) > limits.messageBytesMax) {
    throw new LockstepError('too-large', `a message over ${limits.messageBytesMax} bytes`)
  }
  const value = parseJson(frame)
  const type = typeOf(value)
  const schema = Object.hasOwn(schemas, type) ? schemas[type] : undefined
  if (schema === undefined) {
    throw new LockstepError('bad-message', `no message has the type ${JSON.stringify(type)}`)
  }
  if (schema.check(value)) return value
  throw new LockstepError(
    'bad-message',
    `a ${type} message is malformed: ${schema.mistakes(value)}`,
  )
}

function parseJson(frame: string): unknown {
  try {
    return JSON.parse(frame)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw new LockstepError('bad-message', 'a message is not JSON', { cause: error })
  }
}

function typeOf(value: unknown): string {
  if (typeof value !== 'object' || value === null || !('type' in value)) return ''
  return typeof value.type === 'string' ? value.type.slice(0, 40) : ''
}

function compileAll<S extends Record<string, TSchema>>(
  schemas: S,
): Record<string, Checked<Static<S[keyof S]>>> {
  return Object.fromEntries(
    Object.entries(schemas).map(([type, schema]) => {
      const validator = Compile(schema)
      return [
        type,
        {
          check: (value: unknown): value is Static<S[keyof S]> => validator.Check(value),
          mistakes: (value: unknown) =>
            validator
              .Errors(value)
              .slice(0, 3)
              .map((error) => `${error.instancePath || '/'} ${error.message}`)
              .join('; ')
              .slice(0, limits.mistakesCharsMax),
        },
      ]
    }),
  )
}
