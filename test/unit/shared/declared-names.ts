// The names that a type declares, read from its source: types are gone when a test runs, and a table
// of everything has to notice what was added.

import { readFileSync } from 'node:fs'

const project = new URL('../../../', import.meta.url)

/** The keys of `interface <name> {…}`, first level only. */
export function keysOf(file: string, name: string): readonly string[] {
  const body = between(read(file), `interface ${name} {\n`, /\n}\n/)
  return [...body.matchAll(/^ {2}'?([a-z][a-z-]*)'?: /gm)].map(([, key]) => key ?? '')
}

/** The members of `type <name> = 'a' | 'b'`, string literals only. */
export function literalsOf(file: string, name: string): readonly string[] {
  // Up to the line that does not go on with another member.
  const type = between(`${read(file)}\n`, `type ${name} =`, /\n(?! *\|)/)
  return [...type.matchAll(/'([a-z][a-z-]*)'/g)].map(([, literal]) => literal ?? '')
}

/** The quoted names of the functions in a table: `  'a-rule': (…) =>`. */
export function rulesIn(file: string): readonly string[] {
  return [...read(file).matchAll(/^ {2}'([a-z][a-z-]*)': \(/gm)].map(([, name]) => name ?? '')
}

function read(file: string): string {
  return readFileSync(new URL(file, project), 'utf8')
}

function between(text: string, from: string, to: RegExp): string {
  const start = text.indexOf(from)
  if (start === -1) throw new Error(`${from.trim()} is not there any more`)
  const rest = text.slice(start + from.length)
  return rest.slice(0, rest.search(to))
}
