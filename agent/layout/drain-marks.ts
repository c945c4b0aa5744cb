// Since when each release is no longer current on this host, for the time that clean-up lets it
// drain. A mark is made by the first clean-up that finds a release left, and forgotten whenever the
// release is promised or runs: so no mark is ever older than the leaving. Times of the host's clock,
// which may be set: a mark from the future begins anew.

import { readFileSync } from 'node:fs'
import { withDiskErrors } from '../adapters/disk-error.ts'
import { writeDurablySync } from '../adapters/durable-file.ts'
import type { AppLayout } from './app-layout.ts'
import { systemCodeOf } from '#shared/errors.ts'

export class DrainMarks {
  readonly #layout: AppLayout
  #leftAt: ReadonlyMap<string, number>
  /** What the disk holds: a write that failed is made up for by the next. */
  #written: string

  private constructor(layout: AppLayout, written: string) {
    this.#layout = layout
    this.#leftAt = parseMarks(written)
    this.#written = written
  }

  /** A file that is no list of marks holds none: then every time begins anew. */
  static open(layout: AppLayout): DrainMarks {
    return new DrainMarks(layout, textOf(layout.drain))
  }

  /**
   * Marks what is held and not current, and forgets everything else.
   * @param now epoch milliseconds of the host's clock
   * @throws LockstepError `no-space`, `disk-error`; what could not be written counts for this process
   */
  note(held: readonly string[], isCurrent: (version: string) => boolean, now: number): void {
    const left = held.filter((version) => !isCurrent(version))
    this.#save(
      new Map(left.map((version) => [version, Math.min(this.#leftAt.get(version) ?? now, now)])),
    )
  }

  /** These may be current now, or soon. @throws LockstepError as `note` does */
  forget(versions: readonly string[]): void {
    const kept = [...this.#leftAt].filter(([version]) => !versions.includes(version))
    this.#save(new Map(kept))
  }

  /** When the version has drained; null while nobody saw `current` leave it. */
  drainedAt(version: string, drainMs: number): number | null {
    const leftAt = this.#leftAt.get(version)
    return leftAt === undefined ? null : leftAt + drainMs
  }

  #save(leftAt: ReadonlyMap<string, number>): void {
    this.#leftAt = leftAt
    const text = leftAt.size === 0 && this.#written === '' ? '' : textOfMarks(leftAt)
    if (text === this.#written) return
    withDiskErrors('Noting what is no longer current', () => {
      writeDurablySync(this.#layout.drain, text, 0o600)
    })
    this.#written = text
  }
}

function textOfMarks(leftAt: ReadonlyMap<string, number>): string {
  return `${JSON.stringify(Object.fromEntries(leftAt))}\n`
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error
    return ''
  }
}

function parseMarks(text: string): ReadonlyMap<string, number> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return new Map()
    return new Map(
      Object.entries(value).filter((mark): mark is [string, number] => Number.isFinite(mark[1])),
    )
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    return new Map()
  }
}
