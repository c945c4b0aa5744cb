// Text for people: plain strings, some of them with a style. Strings are made printable when they are
// rendered, so that no caller can forget it; styles are ours alone.

import { withoutSecretText } from '#shared/secret-text.ts'
import { printable } from './printable.ts'

export type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'red'

export interface Styled {
  readonly style: Style
  readonly text: string
}

/** One line or a part of one. A line end inside a string is written out, never followed. */
export type Text = string | Styled | readonly Text[]

export type Paint = (style: Style, text: string) => string

export const bold = (text: string): Styled => ({ style: 'bold', text })
export const dim = (text: string): Styled => ({ style: 'dim', text })
export const good = (text: string): Styled => ({ style: 'green', text })
export const warning = (text: string): Styled => ({ style: 'yellow', text })
export const bad = (text: string): Styled => ({ style: 'red', text })

export function render(text: Text, paint: Paint): string {
  if (typeof text === 'string') return shown(text)
  if ('style' in text) return paint(text.style, shown(text.text))
  return text.map((part) => render(part, paint)).join('')
}

/** What a person asked for as a secret is written by Terminal.secret and by nothing else. */
function shown(text: string): string {
  return printable(withoutSecretText(text))
}

/**
 * A line of what another program said, or of a message that quotes one: behind a bar, so that nobody
 * takes it for a line of this command's own.
 */
export function quotedLine(line: string): string {
  return `  | ${line}`
}

/** Without any style. */
export function plain(text: Text): string {
  return render(text, (_, content) => content)
}

/** The parts with something between them. */
export function joined(parts: readonly Text[], separator: string): Text {
  return parts.flatMap((part, at) => (at === 0 ? [part] : [separator, part]))
}
