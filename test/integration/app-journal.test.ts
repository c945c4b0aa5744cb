// The journal of one app on a real disk: the machine's own, whoever wrote it, of this environment.

import { join } from 'node:path'
import t from 'tap'
import { AppJournal } from '#agent/journal/app-journal.ts'
import { StateJournal } from '#agent/journal/state-journal.ts'
import { emptyJournal, type Journal } from '#shared/activation/state.ts'
import { desiredOf } from '../support/app-world.ts'
import { fenceOf, one, two } from '../support/fleet-facts.ts'

const onOne = { release: one, fallback: one, activateAt: null }
const told = desiredOf(7, { kind: 'prepare', run: onOne, stage: two, once: true, history: [one] })

const full: Journal = {
  fence: told.fence,
  told,
  before: { link: 'old/site' },
  reloadDue: true,
  rollingBack: true,
  previous: { link: null },
  activation: { fence: fenceOf(1, 6), activatedAt: 5.25, errorMs: 0.5, mode: 'timed' },
  afterStageDone: [one.tree, two.tree],
  once: { fence: told.fence, tree: two.tree, state: 'failed', message: 'exit code 1' },
}

void t.test('what was saved is loaded, in every part', async (t) => {
  const path = join(t.testdir({}), 'journal.json')
  t.same(await new AppJournal(path, 'production').load(), emptyJournal)
  await new AppJournal(path, 'production').save(full)
  t.strictSame(await new AppJournal(path, 'production').load(), full)
  await new AppJournal(path, 'production').save({ ...full, once: null, previous: null })
  t.match(await new AppJournal(path, 'production').load(), { once: null, previous: null })
})

void t.test('fences of another environment count for nothing', async (t) => {
  const path = join(t.testdir({}), 'journal.json')
  await new AppJournal(path, 'staging').save(full)
  t.same(await new AppJournal(path, 'production').load(), emptyJournal)
})

void t.test('a journal of an agent that knew no hooks is taken up', async (t) => {
  const path = join(t.testdir({}), 'journal.json')
  const { once: _, drain: __, ...before } = told
  const { fence, reloadDue, activation } = full
  const old = { fence, told: before, before: null, reloadDue, activation }
  const anything = (value: unknown): value is unknown => value !== undefined
  await new StateJournal(path, anything).save({ environment: 'production', journal: old })
  t.strictSame(await new AppJournal(path, 'production').load(), {
    ...emptyJournal,
    ...old,
    told: { ...before, drain: false, once: false },
  })
})
