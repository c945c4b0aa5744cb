// Where the command writes: lines for people, JSON for programs, notes beside them, and one line that is
// drawn over while something lasts. Knows nothing of what is said.

import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { systemCodeOf } from '#shared/errors.ts'
import { escapedJson } from '#shared/unsafe-text.ts'
import { printable } from './printable.ts'
import { type Paint, render, type Text } from './text.ts'

export interface TerminalOptions {
  readonly out: Writable
  readonly err: Writable
  readonly paintOut: Paint
  readonly paintErr: Paint
  /** Whether a line on `err` can be drawn over. */
  readonly canRedraw: boolean
}

export class Terminal {
  readonly #options: TerminalOptions
  readonly #readerGone = new AbortController()
  #hasTransient = false

  constructor(options: TerminalOptions) {
    this.#options = options
    // A reader that has enough (`| head`) is no failure, and its pipe breaks at any later write.
    const onError = (error: unknown) => {
      if (systemCodeOf(error) !== 'EPIPE') throw error
      this.#readerGone.abort()
    }
    options.out.on('error', onError)
    options.err.on('error', onError)
  }

  /** Aborted once nobody reads what is printed any more. */
  get readerGone(): AbortSignal {
    return this.#readerGone.signal
  }

  /** The result, for people. */
  line(text: Text = ''): void {
    this.#write(this.#options.out, render(text, this.#options.paintOut))
  }

  lines(texts: readonly Text[]): void {
    for (const text of texts) this.line(text)
  }

  /** What is said beside the result. */
  note(text: Text): void {
    this.#write(this.#options.err, render(text, this.#options.paintErr))
  }

  /** The result, for programs. */
  json(value: unknown): void {
    this.#write(this.#options.out, escapedJson(JSON.stringify(value, null, 2)))
  }

  /** One line of NDJSON. */
  jsonLine(value: unknown): void {
    this.#write(this.#options.out, escapedJson(JSON.stringify(value)))
  }

  /** The same of what is JSON already; resolves when there is room for more. */
  async jsonText(json: string): Promise<void> {
    const { out } = this.#options
    this.#write(out, escapedJson(json))
    const { signal } = this.#readerGone
    if (!out.writableNeedDrain || signal.aborted) return
    await once(out, 'drain', { signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error
    })
  }

  /** A secret that the user asked for: exactly itself and a line end. */
  secret(text: string): void {
    this.#write(this.#options.out, printable(text))
  }

  /** Draws over the last transient line; nothing where that is not possible. */
  transient(text: Text): void {
    if (!this.#options.canRedraw) return
    this.#options.err.write(`\r\x1b[2K${render(text, this.#options.paintErr)}`)
    this.#hasTransient = true
  }

  clearTransient(): void {
    if (!this.#hasTransient) return
    this.#hasTransient = false
    this.#options.err.write('\r\x1b[2K')
  }

  #write(stream: Writable, text: string): void {
    this.clearTransient()
    if (this.#readerGone.signal.aborted && stream === this.#options.out) return
    stream.write(`${text}\n`)
  }
}
