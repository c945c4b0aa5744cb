// Looking ahead in a stream, and giving back to it.

import t from 'tap'
import { ChunkReader } from '#shared/archive/chunk-reader.ts'

async function* chunks(...texts: string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text)
}

async function rest(reader: ChunkReader): Promise<string> {
  let text = ''
  for (let chunk = await reader.next(); chunk !== null; chunk = await reader.next()) {
    t.ok(chunk.length > 0, 'a chunk is never empty')
    text += chunk.toString()
  }
  return text
}

void t.test('looking ahead takes nothing', async (t) => {
  const reader = new ChunkReader(chunks('a', '', 'bc', 'def'))
  t.equal((await reader.peek(2)).toString(), 'abc')
  t.equal((await reader.peek(4)).toString(), 'abcdef')
  t.equal(await rest(reader), 'abcdef')
  t.equal(await reader.next(), null, 'the end stays the end')
})

void t.test('looking beyond the end shows what there is', async (t) => {
  const reader = new ChunkReader(chunks('ab'))
  t.equal((await reader.peek(9)).toString(), 'ab')
  t.equal(await rest(reader), 'ab')
  t.equal((await reader.peek(1)).length, 0)
})

void t.test('what is given back comes next', async (t) => {
  const reader = new ChunkReader(chunks('ab', 'cd'))
  await reader.next()
  reader.giveBack(Buffer.from('b'))
  reader.giveBack(Buffer.alloc(0))
  t.equal(await rest(reader), 'bcd')
})
