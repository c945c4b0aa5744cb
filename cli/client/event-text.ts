// Server-sent events out of a stream of text, as the HTML standard says it (9.2.6, "Interpreting an event
// stream"). Pure; knows nothing of what the events mean.

import { LockstepError } from '#shared/errors.ts'

export interface ServerEvent {
  readonly type: string
  /** The last id that the stream has named. */
  readonly id: string
  readonly data: string
}

/** Text in, events out; the rest of a line waits for more. */
export class EventText {
  readonly #bytesMax: number
  #rest = ''
  #type = ''
  #id = ''
  #data: string[] = []
  #dataLength = 0

  constructor(charactersMax: number) {
    this.#bytesMax = charactersMax
  }

  /** @throws LockstepError `too-large` for an event that does not end */
  push(text: string): ServerEvent[] {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/)
    this.#rest = lines.pop() ?? ''
    const events = lines.flatMap((line) => this.#line(line))
    if (this.#rest.length + this.#dataLength > this.#bytesMax) {
      throw new LockstepError('too-large', 'an event of the controller does not end')
    }
    return events
  }

  #line(line: string): ServerEvent[] {
    if (line === '') return this.#dispatch()
    const colon = line.indexOf(':')
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'event') this.#type = value
    if (field === 'id' && !value.includes('\0')) this.#id = value
    if (field === 'data') {
      this.#data.push(value)
      this.#dataLength += value.length
    }
    return []
  }

  #dispatch(): ServerEvent[] {
    const event = { type: this.#type || 'message', id: this.#id, data: this.#data.join('\n') }
    const isEmpty = this.#data.length === 0
    this.#type = ''
    this.#data = []
    this.#dataLength = 0
    return isEmpty ? [] : [event]
  }
}
