// The agent's journal of one app: one JSON value, whole and durable, or not there. Knows nothing of
// what the value means; a value that cannot be read is an error and never taken for none, because
// a forgotten fence could be acted below. ARCHITECTURE.md, guarantee 2.

import { readFile } from 'node:fs/promises'
import { asDiskError } from '../adapters/disk-error.ts'
import { writeDurably } from '../adapters/durable-file.ts'
import { canonicalJson, type Json } from '#shared/canonical-json.ts'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { sha256Hex } from '#shared/ids.ts'
import { parseJson } from '#shared/json-text.ts'

export type LoadedJournal<Value> =
  | { readonly kind: 'missing' }
  | { readonly kind: 'loaded'; readonly value: Value }

/** Only the agent's user may read it. */
const mode = 0o600
/** Raised when older agents can no longer read what newer ones write. */
const journalVersion = 1

const decisionHint =
  'It holds the highest decision that this host has seen, so it is not thrown away by itself. ' +
  'Restore the file; or, if the controller was not restored meanwhile, move it away.'

export class StateJournal<Value> {
  readonly #path: string
  readonly #check: (value: unknown) => value is Value
  readonly #hint: string
  /** Saves go one after the other, so that the newest is the one that stays. */
  #last: Promise<void> = Promise.resolve()

  /**
   * @param check whether a parsed value has the shape that the caller wrote
   * @param hint what to do when the file is damaged
   */
  constructor(path: string, check: (value: unknown) => value is Value, hint = decisionHint) {
    this.#path = path
    this.#check = check
    this.#hint = hint
  }

  /** @throws LockstepError `bad-journal`, `disk-error` */
  async load(): Promise<LoadedJournal<Value>> {
    const text = await this.#read()
    if (text === null) return { kind: 'missing' }
    const parsed = parseJson(text)
    if (!isEnvelope(parsed)) throw this.#bad('is no journal')
    if (parsed.journal !== journalVersion) {
      throw this.#bad(`is of version ${JSON.stringify(parsed.journal)}, not ${journalVersion}`)
    }
    if (sha256Hex(canonicalJson(parsed.value)) !== parsed.sha256) {
      throw this.#bad('was changed or damaged since it was written')
    }
    const value: unknown = parsed.value
    if (!this.#check(value)) throw this.#bad('holds a value of another shape')
    return { kind: 'loaded', value }
  }

  /**
   * Durable when it resolves; until then the file holds the value before.
   * @param value of JSON only: what `load` gives is compared with what JSON makes of it
   * @throws LockstepError `no-space`, `disk-error`
   */
  async save(value: Value): Promise<void> {
    // A failed save was told to its own caller; the next one is another.
    const turn = this.#last.then(
      () => this.#write(value),
      () => this.#write(value),
    )
    this.#last = turn
    return turn
  }

  async #write(value: Value): Promise<void> {
    const json = JSON.parse(JSON.stringify(value)) as Json
    const sha256 = sha256Hex(canonicalJson(json))
    const text = `${JSON.stringify({ journal: journalVersion, sha256, value: json })}\n`
    try {
      await writeDurably(this.#path, text, mode)
    } catch (error) {
      throw asDiskError(error, 'Saving the journal')
    }
  }

  async #read(): Promise<string | null> {
    try {
      return await readFile(this.#path, 'utf8')
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return null
      throw asDiskError(error, 'Reading the journal')
    }
  }

  #bad(what: string): LockstepError {
    return new LockstepError('bad-journal', `${this.#path} ${what}`, {
      hint: this.#hint,
      details: { path: this.#path },
    })
  }
}

function isEnvelope(value: unknown): value is { journal: unknown; sha256: string; value: Json } {
  if (typeof value !== 'object' || value === null) return false
  return 'journal' in value && 'value' in value && 'sha256' in value
}
