// Running tasks a few at a time: the bound, and what a failure does to the others.

import t from 'tap'
import { BoundedTasks } from '#controller/content/bounded-tasks.ts'

void t.test('no more tasks run at once than allowed', async (t) => {
  const tasks = new BoundedTasks(2)
  const ends: (() => void)[] = []
  const task = (): Promise<void> => new Promise((resolve) => ends.push(resolve))
  await tasks.start(task)
  await tasks.start(task)
  const third = tasks.start(task)
  t.equal(ends.length, 2)
  ends[0]?.()
  await third
  t.equal(ends.length, 3)
  ends[1]?.()
  ends[2]?.()
  await tasks.finish()
})

void t.test('the first failure is said when no task runs any more, and starts none', async (t) => {
  const tasks = new BoundedTasks(2)
  const ended: string[] = []
  const slow = Promise.withResolvers<void>()
  await tasks.start(async () => {
    await slow.promise
    ended.push('slow')
  })
  await tasks.start(() => Promise.reject(new Error('first')))
  const third = tasks.start(() => Promise.resolve())
  await t.rejects(third, /first/)
  const finished = tasks.finish()
  slow.resolve()
  await t.rejects(finished, /first/)
  t.same(ended, ['slow'])
  await t.resolves(tasks.settled(), 'which says nothing of failures')
})
