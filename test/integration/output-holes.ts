// In which forms a command is run by the tests of its output, and what of that may not be there.

import { forgedLinesIn, rawCharactersIn } from './escape-payloads.ts'
import type { Run, RunOptions } from './cli-run.ts'

export const forms: readonly (RunOptions & { readonly more: readonly string[] })[] = [
  { more: [] },
  { more: [], isStyled: true, canRedraw: true },
  { more: ['--json'] },
]

/** What the command itself writes on a terminal: its styles, and the drawing over of one line. */
// oxlint-disable-next-line no-control-regex
const ours = /\u001b\[(?:1|2|22|31|32|33|39)m|\r\u001b\[2K/g

/** What is wrong with all that a run wrote, once it has ended. */
export async function holesOf({ out, err, exitCode }: Run): Promise<string[]> {
  await exitCode
  const text = out.text.replace(ours, '') + err.text.replace(ours, '')
  const replacement = text.includes('\ufffd') ? ['half a pair'] : []
  const silence = text === '' ? ['it says nothing'] : []
  return [...rawCharactersIn(text), ...forgedLinesIn(text), ...replacement, ...silence]
}
