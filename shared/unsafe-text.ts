// Which characters of a text from elsewhere are never written as they are, to a terminal or into a log.
// Owns no output.

/**
 * Control characters (C0, DEL, C1), everything invisible or that turns the direction of writing, line and
 * paragraph separators, halves of surrogate pairs: what can move a cursor, forge a line or hide in one.
 */
export const unsafeCharacters = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu

/** JSON with `\u` for what is unsafe in its strings, which means the same value; line ends stay. */
export function escapedJson(json: string): string {
  return json.replaceAll(unsafeCharacters, (character) =>
    character === '\n' ? character : escapedUnits(character),
  )
}

/** The character as JSON escapes it: `\u` and four digits for every unit of UTF-16. */
export function escapedUnits(character: string): string {
  return Array.from(
    { length: character.length },
    (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`,
  ).join('')
}
