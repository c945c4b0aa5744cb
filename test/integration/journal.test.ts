// The journal on a real disk: the value before or the value after, and never a guess.

import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { StateJournal } from '#agent/journal/state-journal.ts'

interface Value {
  readonly epoch: number
  readonly note?: string
}

const isValue = (value: unknown): value is Value =>
  typeof value === 'object' && value !== null && 'epoch' in value && typeof value.epoch === 'number'

const journalAt = (path: string): StateJournal<Value> => new StateJournal(path, isValue)

void t.test('what was saved last is loaded', async (t) => {
  const path = join(t.testdir({}), 'journal.json')
  const journal = journalAt(path)
  t.same(await journal.load(), { kind: 'missing' })
  await journal.save({ epoch: 1 })
  await journal.save({ epoch: 2, note: 'über' })
  t.same(await journalAt(path).load(), { kind: 'loaded', value: { epoch: 2, note: 'über' } })
  t.equal(statSync(path).mode & 0o7777, 0o600)
  t.same(readdirSync(join(path, '..')), ['journal.json'], 'nothing is left beside it')
})

void t.test('saves that overlap end with the last', async (t) => {
  const path = join(t.testdir({}), 'journal.json')
  const journal = journalAt(path)
  const epochs = Array.from({ length: 30 }, (_, epoch) => epoch)
  await Promise.all(epochs.map((epoch) => journal.save({ epoch })))
  t.same(await journal.load(), { kind: 'loaded', value: { epoch: 29 } })
})

void t.test('a damaged journal is an error, never taken for none', async (t) => {
  const path = join(t.testdir({}), 'journal.json')
  await journalAt(path).save({ epoch: 7, note: 'x' })
  const sound = readFileSync(path, 'utf8')
  const damaged: Record<string, string> = {
    'empty': '',
    'cut': sound.slice(0, -9),
    'zeros': '\0'.repeat(sound.length),
    'another value': sound.replace('"epoch":7', '"epoch":6'),
    'another version': sound.replace('"journal":1', '"journal":2'),
    'no journal': '{"epoch":7}',
    'a list': '[]',
  }
  for (const [name, text] of Object.entries(damaged)) {
    t.not(text, sound, name)
    writeFileSync(path, text)
    await t.rejects(journalAt(path).load(), { code: 'bad-journal' }, name)
    t.equal(readFileSync(path, 'utf8'), text, 'and it is left as it is')
  }
  writeFileSync(path, sound)
  t.match(await journalAt(path).load(), { kind: 'loaded' })
})

void t.test('a value of another shape is an error', async (t) => {
  const path = join(t.testdir({}), 'journal.json')
  const anything = (value: unknown): value is unknown => value !== undefined
  await new StateJournal(path, anything).save({ other: true })
  await t.rejects(journalAt(path).load(), { code: 'bad-journal', message: /another shape/ })
})

void t.test('a journal that cannot be saved keeps what it holds, and says so', async (t) => {
  const directory = t.testdir({})
  const journal = journalAt(join(directory, 'gone', 'journal.json'))
  await t.rejects(journal.save({ epoch: 1 }), { code: 'disk-error' })
  const sound = journalAt(join(directory, 'journal.json'))
  await sound.save({ epoch: 1 })
  await t.rejects(sound.save({ epoch: 2n } as never), TypeError)
  await sound.save({ epoch: 3 })
  t.same(await sound.load(), { kind: 'loaded', value: { epoch: 3 } }, 'the next save is another')
})
