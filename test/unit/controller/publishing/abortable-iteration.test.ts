// Ending an iteration by a signal, one that would never end by itself included.

import t from 'tap'
import { abortable } from '#controller/publishing/abortable-iteration.ts'

async function* numbers(log: string[]): AsyncGenerator<number> {
  try {
    yield 1
    yield 2
  } finally {
    log.push('ended')
  }
}

void t.test('an iteration that is not aborted is passed through', async (t) => {
  const log: string[] = []
  const items: number[] = []
  for await (const item of abortable(numbers(log), new AbortController().signal)) items.push(item)
  t.same(items, [1, 2])
  t.same(log, ['ended'])
})

void t.test('an iteration that never goes on ends with the reason', async (t) => {
  const aborted = new AbortController()
  const stuck: AsyncIterable<number> = {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise(() => {}),
      // As with a generator that waits: its return waits for its next.
      return: () => new Promise(() => {}),
    }),
  }
  const next = abortable(stuck, aborted.signal).next()
  const reason = new Error('stalled')
  aborted.abort(reason)
  await t.rejects(next, reason)
})

void t.test('a reader that stops early ends what it read, and waits for that', async (t) => {
  const log: string[] = []
  for await (const item of abortable(numbers(log), new AbortController().signal)) {
    t.equal(item, 1)
    break
  }
  t.same(log, ['ended'])
})

void t.test('nothing is begun after an abort', async (t) => {
  const reason = new Error('too late')
  await t.rejects(abortable(numbers([]), AbortSignal.abort(reason)).next(), reason)
})
