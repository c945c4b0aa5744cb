// Answers of a controller with hostile text in their strings: in all that its schemas leave free at once,
// or in one that they do not.

import type { TSchema } from 'typebox'
import { Compile, type Validator } from 'typebox/compile'

/** Stands for a name that may be any, such as a label's. */
export const anyName = 'any-name'

type Path = readonly (string | number)[]

/** Finds the strings of an answer that its schema leaves free, once per answer. */
export class HostileAnswer {
  readonly #body: unknown
  readonly #free: readonly Path[]
  readonly #bound: readonly Path[]

  constructor(body: unknown, schema: TSchema) {
    const validator: Validator = Compile(schema)
    const paths = stringsOf(body)
    const isFree = (path: Path) => validator.Check(replaced(body, path, 'any \u001b text'))
    this.#body = body
    this.#free = paths.filter(isFree)
    this.#bound = paths.filter((path) => !isFree(path))
  }

  get freeCount(): number {
    return this.#free.length
  }

  /** With the text in every string that may be any, and in the names that may. */
  filled(text: string): unknown {
    const body = this.#free.reduce((filled, path) => replaced(filled, path, text), this.#body)
    return renamed(body, text)
  }

  /** With the text in one string that may not be any: a name, a version, a phase. */
  broken(text: string, at: number): unknown {
    const path = this.#bound[at % this.#bound.length]
    return path === undefined ? this.#body : replaced(this.#body, path, text)
  }

  /** With the text as a name of what is no text. */
  misnamed(text: string): unknown {
    return renamed(this.#body, text, 7)
  }
}

function stringsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value === 'string') return [path]
  if (value === null || typeof value !== 'object') return []
  return Object.entries(value).flatMap(([key, child]) => stringsOf(child, [...path, key]))
}

function replaced(value: unknown, path: Path, text: string): unknown {
  const [key, ...rest] = path
  if (key === undefined) return text
  if (Array.isArray(value)) {
    return value.map((child, at) =>
      String(at) === String(key) ? replaced(child, rest, text) : child,
    )
  }
  return Object.fromEntries(
    Object.entries(Object(value)).map(([name, child]) =>
      name === key ? [name, replaced(child, rest, text)] : [name, child],
    ),
  )
}

function renamed(value: unknown, text: string, instead?: number): unknown {
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map((child) => renamed(child, text, instead))
  return Object.fromEntries(
    Object.entries(value).map(([name, child]) =>
      name === anyName ? [text, instead ?? child] : [name, renamed(child, text, instead)],
    ),
  )
}
