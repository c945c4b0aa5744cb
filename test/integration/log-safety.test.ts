// What daemons log and what hooks say of hostile text: nothing that moves a terminal's cursor, forges a
// line of the log or hides in one, and the same value for programs.

import t from 'tap'
import { OutputLines } from '#agent/hooks/output-lines.ts'
import { createLog } from '#systemd/journal-log.ts'
import { forgedLinesIn, nameOf, packs, payloads, rawCharactersIn } from './escape-payloads.ts'

function logged(hasPriorities: boolean): { lines: string[]; log: ReturnType<typeof createLog> } {
  const lines: string[] = []
  const destination = { write: (line: string) => void lines.push(line) }
  return { lines, log: createLog({ name: 'agent', destination, hasPriorities }) }
}

void t.test('a line of the log is one line without anything raw', (t) => {
  t.ok(payloads.length >= 300, `${payloads.length} payloads`)
  t.equal(new Set(payloads).size, payloads.length)
  for (const hasPriorities of [false, true]) {
    const { lines, log } = logged(hasPriorities)
    for (const text of [...payloads, ...packs, '\u001b[2J'.repeat(20_000)]) {
      lines.length = 0
      log.info({ text, [text]: 1, list: [text], err: new Error(text) }, text)
      log.child({ host: text }).error({ deep: { [text]: { text } } }, '%s', text)
      const written = lines.join('')
      t.same(rawCharactersIn(written), [], nameOf(text))
      t.same(forgedLinesIn(written), [])
      t.equal(written.split('\n').length, 3, 'two lines for two calls')
      const [line = ''] = lines
      t.equal(JSON.parse(line.replace(/^<\d>/, '')).text, text, 'the same for programs')
    }
  }
  t.comment(`${payloads.length} payloads x 12 places of 2 kinds of log: nothing raw`)
  t.end()
})

void t.test('what a hook says is shown without anything raw', (t) => {
  for (const payload of [...payloads, '\u001b['.repeat(9000), '\u{1f600}'.repeat(9000)]) {
    const said: string[] = []
    const lines = new OutputLines(({ text }) => said.push(text))
    for (const stream of ['out', 'err'] as const) {
      lines.push(stream, Buffer.from(`a${payload}`))
      lines.push(stream, Buffer.from(payload, 'latin1'))
      // A character whose bytes come one by one.
      for (const byte of Buffer.from(payload.slice(0, 50))) lines.push(stream, Uint8Array.of(byte))
    }
    lines.end()
    said.push(lines.lastText)
    const raw = rawCharactersIn(said.join('').replaceAll('\t', ' '))
    t.same(raw, [], nameOf(payload))
    t.notOk(
      said.some((text) => text.includes('\n')),
      'a line is one',
    )
  }
  t.comment(`${payloads.length} payloads x 2 streams of a hook, in 3 ways: nothing raw but tabs`)
  t.end()
})
