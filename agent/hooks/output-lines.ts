// What a hook writes, as lines that may be shown: text whatever the bytes are, bounded in length and
// in whole, without anything that moves a terminal's cursor. Owns no pipe.

import { TextDecoder } from 'node:util'
import { limits } from '#shared/limits.ts'
import { masked, withoutSecretText } from '#shared/secret-text.ts'
import { type Secret, withoutSecrets } from './secrets.ts'

export type OutputStream = 'out' | 'err'

export interface OutputLine {
  readonly stream: OutputStream
  readonly text: string
  /** The line is cut off, or it is the last that is kept. */
  readonly truncated: boolean
}

/** One line that has begun. */
interface Open {
  readonly decoder: TextDecoder
  text: string
  isCut: boolean
  /** Between the first and the last line of a private key. */
  isWithinKey: boolean
}

const keyBegins = /-----BEGIN [A-Z ]*PRIVATE KEY-----/
const keyEnds = /-----END [A-Z ]*PRIVATE KEY-----/

// oxlint-disable-next-line no-control-regex
const escapeSequences = /\u001b\[[0-9;?]*[A-Za-z]/g
const unshowable = /[^\P{Cc}\t]|\p{Bidi_Control}|[\p{Cs}\p{Zl}\p{Zp}]/gu
/** Hides in a text and belongs to many an emoji: left out, that neither is spoilt. */
const invisible = /[\p{Cf}\p{Default_Ignorable_Code_Point}]/gu

export class OutputLines {
  readonly #sink: (line: OutputLine) => void
  readonly #secrets: readonly Secret[]
  readonly #open: Readonly<Record<OutputStream, Open>> = { out: newOpen(), err: newOpen() }
  #bytesLeft: number = limits.hookOutputBytesMax
  #lastText = ''

  constructor(sink: (line: OutputLine) => void, secrets: readonly Secret[] = []) {
    this.#sink = sink
    this.#secrets = secrets
  }

  /** Whether everything more is thrown away. */
  get isFull(): boolean {
    return this.#bytesLeft === 0
  }

  /** The last line that said anything. */
  get lastText(): string {
    return this.#lastText
  }

  push(stream: OutputStream, bytes: Uint8Array): void {
    if (this.isFull) return
    const kept = bytes.subarray(0, this.#bytesLeft)
    this.#bytesLeft -= kept.length
    const open = this.#open[stream]
    this.#take(stream, open.decoder.decode(kept, { stream: true }))
    if (this.isFull) this.#close()
  }

  /** The lines that nothing ended. */
  end(): void {
    if (this.isFull) return
    for (const stream of ['out', 'err'] as const) {
      this.#take(stream, this.#open[stream].decoder.decode())
      if (this.#open[stream].text !== '') this.#emit(stream)
    }
  }

  #take(stream: OutputStream, text: string): void {
    const [first = '', ...others] = text.split(/\r?\n|\r/)
    this.#append(stream, first)
    for (const other of others) {
      this.#emit(stream)
      this.#append(stream, other)
    }
  }

  /** A line without an end takes no more memory than a long one. */
  #append(stream: OutputStream, text: string): void {
    const open = this.#open[stream]
    const joined = open.text + text
    open.isCut ||= joined.length > limits.hookLineCharsMax
    open.text = joined.slice(0, limits.hookLineCharsMax)
  }

  #emit(stream: OutputStream): void {
    const open = this.#open[stream]
    const text = this.#withoutAnySecret(open)
    if (text.trim() !== '') this.#lastText = text.trim()
    this.#sink({ stream, text, truncated: open.isCut })
    open.text = ''
    open.isCut = false
  }

  /** A private key is many lines, and each but the first is taken for a part of it until its last. */
  #withoutAnySecret(open: Open): string {
    const shown = withoutSecrets(shownOf(open.text), open.isCut, this.#secrets)
    const wasWithinKey = open.isWithinKey
    open.isWithinKey = wasWithinKey
      ? !keyEnds.test(shown)
      : keyBegins.test(shown) && !keyEnds.test(shown)
    return wasWithinKey ? masked : withoutSecretText(shown)
  }

  #close(): void {
    for (const stream of ['out', 'err'] as const) {
      if (this.#open[stream].text !== '') this.#emit(stream)
    }
    const text = `(more than ${limits.hookOutputBytesMax / 1024} KiB: the rest is left out)`
    this.#sink({ stream: 'err', text, truncated: true })
  }
}

function shownOf(text: string): string {
  const shown = text.replaceAll(escapeSequences, '').replaceAll(unshowable, '\ufffd')
  return shown.replaceAll(invisible, '')
}

function newOpen(): Open {
  return { decoder: new TextDecoder('utf-8'), text: '', isCut: false, isWithinKey: false }
}
