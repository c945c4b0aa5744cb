// JSON that two readers cannot understand differently: UTF-8, no member twice, whole numbers only,
// no member that the schema does not know. Whoever checks a signature and whoever acts on what was
// signed must read the same.

import type { Static, TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { type ErrorCode, LockstepError } from '../errors.ts'
import { limits } from '../limits.ts'

export interface StrictForm<S extends TSchema> {
  readonly schema: S
  /** What it is, for messages: "the trust file". */
  readonly what: string
  readonly bytesMax: number
  readonly code: ErrorCode
}

const tokens = /"(?:[^"\\]|\\.)*"|[{}[\]:]|[-0-9][-+.0-9eE]*/g
const wholeNumber = /^(?:0|-?[1-9]\d{0,15})$/

/**
 * A reader for one form. What it throws is a LockstepError of the form's code: what is wrong, and
 * at which place.
 */
export function strictReader<S extends TSchema>(
  form: StrictForm<S>,
): (bytes: Uint8Array) => Static<S> {
  const { what, bytesMax, code } = form
  const validator = Compile(form.schema)
  return (bytes) => {
    const refuse = (problem: string): never => {
      throw new LockstepError(code, `${what} ${problem}`)
    }
    if (bytes.length > bytesMax) refuse(`is over ${bytesMax} bytes`)
    const text = utf8Of(bytes) ?? refuse('is not UTF-8')
    const value = jsonOf(text) ?? refuse('is no JSON')
    const ambiguity = ambiguityOf(text)
    if (ambiguity !== null) refuse(ambiguity)
    if (validator.Check(value.json)) return value.json
    const mistakes = validator.Errors(value.json).slice(0, 3).map(mistakeText)
    return refuse(`is malformed: ${mistakes.join('; ').slice(0, limits.mistakesCharsMax)}`)
  }
}

function mistakeText(error: { instancePath: string; message: string; params: object }): string {
  const { additionalProperties: unknown } = { additionalProperties: [], ...error.params }
  const names = Array.isArray(unknown) && unknown.length > 0 ? ` (${JSON.stringify(unknown)})` : ''
  return `${error.instancePath || '/'} ${error.message}${names}`
}

/** A byte-order mark stays in the text, where it is no JSON. */
function utf8Of(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    return null
  }
}

function jsonOf(text: string): { json: unknown } | null {
  try {
    return { json: JSON.parse(text) }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    return null
  }
}

/** @param text valid JSON, so that its tokens can be told apart without parsing it again */
function ambiguityOf(text: string): string | null {
  const open: (Set<string> | null)[] = []
  let string = '""'
  for (const [token] of text.matchAll(tokens)) {
    if (token.startsWith('"')) string = token
    else if (token === '{') open.push(new Set())
    else if (token === '[') open.push(null)
    else if (token === '}' || token === ']') open.pop()
    else if (token === ':') {
      const name: string = JSON.parse(string)
      const names = open.at(-1)
      if (names?.has(name) === true) return `has the member ${JSON.stringify(name)} twice`
      names?.add(name)
    } else if (!wholeNumber.test(token) || !Number.isSafeInteger(Number(token))) {
      return `has a number that is not written as a whole one: ${token.slice(0, 40)}`
    }
  }
  return null
}
