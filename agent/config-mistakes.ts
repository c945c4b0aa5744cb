// Collects what is wrong with a configuration, so that all of it is said at once. Owns how a value
// is asked for its type; knows no key of any configuration.

import type { TomlTable } from 'smol-toml'
import { LockstepError } from '#shared/errors.ts'

export type Table = TomlTable

export interface Mistake {
  /** The key's path in the file: `apps.shop.root`. */
  readonly key: string
  /** What is wrong, to be read after the key. */
  readonly problem: string
  /** What to write instead, to be read after "write". */
  readonly write: string
}

export class MistakeList {
  readonly #mistakes: Mistake[] = []

  list(): readonly Mistake[] {
    return this.#mistakes
  }

  add(key: string, problem: string, write: string): void {
    this.#mistakes.push({ key, problem, write })
  }

  refuseUnknownKeys(table: Table, at: string, known: readonly string[]): void {
    for (const key of Object.keys(table)) {
      if (known.includes(key)) continue
      this.add(pathOf(at, key), 'is no known key', `only ${known.join(', ')} here`)
    }
  }

  /** The value as text, or undefined after noting that it is missing or something else. */
  text(table: Table, key: string, at: string, write: string): string | undefined {
    const value = table[key]
    if (typeof value === 'string') return value
    this.add(pathOf(at, key), wrongType(value, 'no text in quotes'), write)
    return undefined
  }

  /** A list of texts, each with its own path; empty when the key is left out. */
  texts(table: Table, key: string, at: string, write: string): { text: string; key: string }[] {
    const value = table[key]
    if (value === undefined) return []
    if (!Array.isArray(value)) {
      this.add(pathOf(at, key), wrongType(value, 'no list'), write)
      return []
    }
    return value.flatMap((text, index) => {
      const path = `${pathOf(at, key)}[${index}]`
      if (typeof text === 'string') return [{ text, key: path }]
      this.add(path, wrongType(text, 'no text in quotes'), write)
      return []
    })
  }

  table(table: Table, key: string, at: string, write: string): Table | undefined {
    const value = table[key]
    if (isTable(value)) return value
    this.add(pathOf(at, key), wrongType(value, 'no section'), write)
    return undefined
  }

  /** True or false; the fallback when the key is left out or after noting a mistake. */
  flag(table: Table, key: string, at: string, fallback: boolean): boolean {
    const value = table[key]
    if (value === undefined || typeof value === 'boolean') return value ?? fallback
    this.add(pathOf(at, key), `is no truth value but ${shownValue(value)}`, 'true or false')
    return fallback
  }

  /** A whole number in its range; the fallback when the key is left out or after noting a mistake. */
  wholeNumber(
    table: Table,
    key: string,
    at: string,
    { min, max, fallback }: { min: number; max: number; fallback: number },
  ): number {
    if (!Object.hasOwn(table, key)) return fallback
    const value = table[key]
    const isGood = typeof value === 'number' && Number.isInteger(value)
    if (isGood && value >= min && value <= max) return value
    const problem = `${shownValue(value)} is no such number`
    this.add(pathOf(at, key), problem, `a whole number from ${min} to ${max}`)
    return fallback
  }

  /** What `parse` gives, or undefined after noting why it refused. */
  parsed<Value>(key: string, write: string, parse: () => Value): Value | undefined {
    try {
      return parse()
    } catch (error) {
      if (!(error instanceof LockstepError)) throw error
      this.add(key, `is wrong: ${error.message}`, write)
      return undefined
    }
  }
}

/** A value as it may stand in a message: short, quoted, on one line. */
export function shownValue(value: unknown): string {
  const text = typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? 'nothing')
  return text.length > 100 ? `${text.slice(0, 100)}…` : text
}

function isTable(value: unknown): value is Table {
  if (typeof value !== 'object' || value === null) return false
  return !Array.isArray(value) && !(value instanceof Date)
}

function wrongType(value: unknown, what: string): string {
  return value === undefined ? 'is missing' : `is ${what} but ${shownValue(value)}`
}

/** `apps.shop.root` for `root` in `apps.shop`. */
export function pathOf(at: string, key: string): string {
  return at === '' ? key : `${at}.${key}`
}
