// A hook's output as lines: whatever the bytes are, what is shown is text, bounded, and says so.

import t from 'tap'
import { type OutputLine, OutputLines } from '#agent/hooks/output-lines.ts'
import { limits } from '#shared/limits.ts'

function linesOf(...chunks: (string | Uint8Array)[]): OutputLine[] {
  const lines: OutputLine[] = []
  const output = new OutputLines((line) => lines.push(line))
  for (const chunk of chunks) output.push('out', Buffer.from(chunk))
  output.end()
  return lines
}

const textsOf = (...chunks: (string | Uint8Array)[]) => linesOf(...chunks).map(({ text }) => text)

void t.test('lines end where they end, however they arrive', async (t) => {
  t.same(textsOf('a\nb\r\nc\rd'), ['a', 'b', 'c', 'd'])
  t.same(textsOf('a', 'b', '\n', 'c'), ['ab', 'c'])
  t.same(textsOf('\n\na\n'), ['', '', 'a'])
  t.same(textsOf(), [])
  const euro = Buffer.from('€')
  t.same(textsOf(euro.subarray(0, 1), euro.subarray(1)), ['€'])
})

void t.test('what is no text becomes text that moves nothing', async (t) => {
  t.same(textsOf(new Uint8Array([0x61, 0, 7, 0xff, 0xc3])), ['a\ufffd\ufffd\ufffd\ufffd'])
  t.same(textsOf('\u001b[31mred\u001b[0m \u001b]0;title\u0007\u202ex\ty'), [
    'red \ufffd]0;title\ufffd\ufffdx\ty',
  ])
})

void t.test('both streams have lines of their own', async (t) => {
  const lines: OutputLine[] = []
  const output = new OutputLines((line) => lines.push(line))
  output.push('out', Buffer.from('on'))
  output.push('err', Buffer.from('tw'))
  output.push('out', Buffer.from('e\n'))
  output.push('err', Buffer.from('o\n'))
  output.end()
  t.same(lines, [
    { stream: 'out', text: 'one', truncated: false },
    { stream: 'err', text: 'two', truncated: false },
  ])
  t.equal(output.lastText, 'two')
})

void t.test('a line without an end is cut off, and says so', async (t) => {
  const chunk = 'x'.repeat(700)
  const [line, next] = linesOf(chunk, chunk, chunk, '\nnext')
  t.equal(line?.text.length, limits.hookLineCharsMax)
  t.equal(line?.truncated, true)
  t.same(next, { stream: 'out', text: 'next', truncated: false })
})

void t.test('what is over the limit of the whole is left out, and the end says so', async (t) => {
  const lines: OutputLine[] = []
  const output = new OutputLines((line) => lines.push(line))
  const chunk = Buffer.from(`${'y'.repeat(99)}\n`.repeat(1000))
  for (let at = 0; at < 3; at += 1) output.push('out', chunk)
  t.equal(output.isFull, true)
  const count = lines.length
  output.push('err', chunk)
  output.end()
  t.equal(lines.length, count)
  t.match(lines.at(-1), { stream: 'err', truncated: true, text: /256 KiB/ })
})
