// Makes text from elsewhere safe on a terminal. Nothing that came over the network, from a file or from
// the command line reaches a terminal by another way.

/**
 * Control characters (C0, DEL, C1), everything invisible or that turns the direction of writing, line and
 * paragraph separators, halves of surrogate pairs: what can move a cursor, forge a line or hide in one.
 */
const unsafe = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu

/** A message longer than this says nothing more to a person. */
const charactersMax = 2000

/** The text with every unsafe character written out, such as `\x1b` or `\u202e`. */
export function printable(text: string): string {
  const shown = text.length > charactersMax ? `${text.slice(0, charactersMax)}…` : text
  return shown.replaceAll(unsafe, written)
}

/** The same for JSON: unsafe characters stand only in its strings, where `\u` means the same value. */
export function printableJson(json: string): string {
  return json.replaceAll(unsafe, (character) =>
    character === '\n' ? character : codeUnitsOf(character).join(''),
  )
}

function written(character: string): string {
  const named: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }
  const name = named[character]
  if (name !== undefined) return name
  const code = character.codePointAt(0) ?? 0
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, '0')}`
  return code <= 0xffff ? codeUnitsOf(character).join('') : `\\u{${code.toString(16)}}`
}

function codeUnitsOf(character: string): string[] {
  return Array.from(
    { length: character.length },
    (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`,
  )
}
