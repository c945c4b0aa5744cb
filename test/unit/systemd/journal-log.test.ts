// Lines as journald wants them: one each, their priority in front, only where journald reads them.

import { fstatSync } from 'node:fs'
import t from 'tap'
import { createLog, isJournal } from '#systemd/journal-log.ts'

function linesOf(hasPriorities: boolean): string[] {
  const lines: string[] = []
  const destination = { write: (line: string) => void lines.push(line) }
  const log = createLog({ name: 'agent', level: 'trace', destination, hasPriorities })
  log.trace('t')
  log.debug('d')
  log.info({ app: 'shop' }, 'staged\nand ready')
  log.warn('w')
  log.child({ app: 'shop' }).error('e')
  log.fatal('f')
  return lines
}

void t.test('under journald every line begins with its priority', async (t) => {
  const priorities = linesOf(true).map((line) => line.slice(0, 3))
  t.same(priorities, ['<7>', '<7>', '<6>', '<4>', '<3>', '<2>'])
})

void t.test('a line is one JSON object, whatever is in the message', async (t) => {
  const lines = linesOf(false)
  t.ok(lines.every((line) => line.indexOf('\n') === line.length - 1))
  t.match(JSON.parse(lines[2] ?? ''), { name: 'agent', app: 'shop', msg: 'staged\nand ready' })
})

void t.test('below the level nothing is written', async (t) => {
  const lines: string[] = []
  const destination = { write: (line: string) => void lines.push(line) }
  createLog({ name: 'agent', destination, hasPriorities: true }).debug('d')
  t.same(lines, [])
})

void t.test('standard output is the journal only when it is the very stream', async (t) => {
  const { dev, ino } = fstatSync(1)
  t.equal(isJournal({ JOURNAL_STREAM: `${dev}:${ino}` }, 1), true)
  t.equal(isJournal({ JOURNAL_STREAM: `${dev}:${ino + 1}` }, 1), false)
  t.equal(isJournal({}, 1), false)
})
