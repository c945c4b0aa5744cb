// Makes text from elsewhere safe on a terminal. Nothing that came over the network, from a file or from
// the command line reaches a terminal by another way.

import { escapedUnits, unsafeCharacters } from '#shared/unsafe-text.ts'

/** A message longer than this says nothing more to a person. */
const charactersMax = 2000

/** The text with every unsafe character written out, such as `\x1b` or `\u202e`. */
export function printable(text: string): string {
  const shown = text.length > charactersMax ? `${text.slice(0, charactersMax)}…` : text
  return shown.replaceAll(unsafeCharacters, written)
}

function written(character: string): string {
  const named: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }
  const name = named[character]
  if (name !== undefined) return name
  const code = character.codePointAt(0) ?? 0
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, '0')}`
  return code <= 0xffff ? escapedUnits(character) : `\\u{${code.toString(16)}}`
}
