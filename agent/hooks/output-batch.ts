// Gathers lines of output into texts that are worth a message each, in the order of their arrival.

import type { Clock } from '#shared/clock.ts'
import { limits } from '#shared/limits.ts'
import type { OutputLine, OutputStream } from './output-lines.ts'

export interface OutputText {
  readonly stream: OutputStream
  /** Whole lines, with LF between them. */
  readonly text: string
  /** Its last line is cut off, or the last that is kept. */
  readonly truncated: boolean
}

export class OutputBatch {
  readonly #clock: Clock
  readonly #sink: (text: OutputText) => void
  #waiting: OutputText | null = null
  #cancelTimer: () => void = () => undefined

  constructor(clock: Clock, sink: (text: OutputText) => void) {
    this.#clock = clock
    this.#sink = sink
  }

  add(line: OutputLine): void {
    const waiting = this.#waiting
    const isFitting =
      waiting?.stream === line.stream &&
      waiting.text.length + 1 + line.text.length <= limits.hookTextCharsMax
    if (waiting !== null && isFitting) {
      this.#waiting = { ...line, text: `${waiting.text}\n${line.text}` }
    } else {
      this.flush()
      this.#waiting = line
      const at = this.#clock.now() + limits.hookTextPauseMs
      this.#cancelTimer = this.#clock.timer(at, () => this.flush())
    }
    if (line.truncated) this.flush()
  }

  flush(): void {
    this.#cancelTimer()
    const waiting = this.#waiting
    this.#waiting = null
    if (waiting !== null) this.#sink(waiting)
  }
}
