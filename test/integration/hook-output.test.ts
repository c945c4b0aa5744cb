// The output of hooks on its way up: stored by rollout, bounded, read in pages, told in lines.

import t, { type Test } from 'tap'
import { OutputTail, outputLines } from '#cli/follow/output-tail.ts'
import { plain } from '#cli/output/text.ts'
import { HookOutputStore } from '#controller/store/hook-output-store.ts'
import type { HookOutputView } from '#shared/api/output-schemas.ts'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import type { LogMessage } from '#shared/wire/messages.ts'
import { digestOf } from '../support/fleet-facts.ts'
import { openTestDatabase } from '../support/test-database.ts'
import { FakeController } from './cli-fake-controller.ts'
import { run } from './cli-run.ts'
import { committed, environment, rollout } from './cli-views.ts'

const place = { app: 'shop', environment: 'production' }

function log(changes: Partial<LogMessage> = {}): LogMessage {
  const fence = { term: 1, epoch: 1, hash: digestOf('1') }
  const said = { hook: 'once', stream: 'out', text: 'migrating', truncated: false } as const
  return { type: 'log', ...place, fence, ...said, ...changes }
}

/** A database with rollouts `r1`, `r2` and so on, each with a decision of its epoch. */
async function storeWith(t: Test, rollouts: number) {
  const { db } = await openTestDatabase(t)
  for (let number = 1; number <= rollouts; number += 1) {
    const rollout = `r${number}`
    const at = number
    const facts = { request_key: null, tree: digestOf('1'), verdict: null, rollout: '{}' }
    await db
      .insertInto('rollout')
      .values({ ...place, ...facts, id: rollout, phase: 'committed', started_at: at })
      .execute()
    const decision = { kind: 'stage', wave: null, decision: '{}', decided_at: at, rollout }
    await db
      .insertInto('decision')
      .values({ ...place, ...decision, term: 1, epoch: number, hash: digestOf('1') })
      .execute()
  }
  await db
    .insertInto('host')
    .values({ id: 'h1', name: 'web-1', public_key: '', enrolled_at: 0, labels: '{}' })
    .execute()
  return { db, store: new HookOutputStore(db) }
}

void t.test('what a hook says belongs to the rollout of its decision', async (t) => {
  const { store } = await storeWith(t, 1)
  t.equal(await store.add('h1', log(), 5), 'r1')
  t.equal(await store.add('gone', log({ stream: 'err', text: 'a\nb', truncated: true }), 6), 'r1')
  t.match(await store.list('r1', 0, 10), [
    { at: 5, host: 'web-1', hook: 'once', stream: 'out', text: 'migrating', truncated: false },
    { at: 6, host: 'gone', stream: 'err', text: 'a\nb', truncated: true },
  ])
  const [first] = await store.list('r1', 0, 1)
  t.match(await store.list('r1', first?.id ?? 0, 10), [{ host: 'gone' }])
})

void t.test('what no decision stands behind is not stored', async (t) => {
  const { store } = await storeWith(t, 1)
  const unknown = { term: 1, epoch: 2, hash: digestOf('1') }
  t.equal(await store.add('h1', log({ fence: unknown }), 5), null)
  const other = { term: 1, epoch: 1, hash: digestOf('2') }
  t.equal(await store.add('h1', log({ fence: other }), 5), null)
  t.equal(await store.add('h1', log({ app: 'blog' }), 5), null)
})

void t.test('a rollout keeps so much and no more, after a restart too', async (t) => {
  const { db, store } = await storeWith(t, 1)
  const text = 'x'.repeat(4000)
  const most = Math.ceil(limits.rolloutOutputBytesMax / text.length)
  let stored = 0
  while ((await store.add('h1', log({ text }), 1)) !== null) stored += 1
  t.ok(stored < most, `${stored} texts`)
  t.match((await store.list('r1', 0, 1000)).at(-1), { truncated: true, text: /rest is left out/ })
  t.equal(await new HookOutputStore(db).add('h1', log(), 1), null)
})

void t.test('old rollouts make room for new ones', async (t) => {
  const rollouts = limits.rolloutOutputsKept + 1
  const { store } = await storeWith(t, rollouts)
  for (let epoch = 1; epoch <= rollouts; epoch += 1) {
    await store.add('h1', log({ fence: { term: 1, epoch, hash: digestOf('1') } }), epoch)
  }
  t.same(await store.list('r1', 0, 10), [])
  t.equal((await store.list('r2', 0, 10)).length, 1)
})

function view(id: number, text: string, truncated = false): HookOutputView {
  return { id, at: 0, host: 'web-1', hook: 'once', stream: 'out', text, truncated }
}

void t.test('who follows reads each of them once, and needs none', async (t) => {
  const asked: number[] = []
  const answers = [
    { items: [view(1, 'a'), view(2, 'b')], next: '2' },
    { items: [view(3, 'c')], next: null },
    { items: [], next: null },
  ]
  const tail = new OutputTail(
    {
      output: async (_id, after) => {
        asked.push(after)
        const answer = answers.shift()
        if (answer === undefined) throw new LockstepError('unreachable', 'nobody there')
        return answer
      },
    },
    'r1',
  )
  t.same(
    (await tail.next()).map(({ text }) => text),
    ['a', 'b', 'c'],
  )
  t.same(await tail.next(), [])
  t.same(await tail.next(), [], 'a controller that is away is asked again')
  t.same(asked, [0, 2, 3, 3])
})

void t.test('each line has its host in front, and says when it is cut off', async (t) => {
  t.same(outputLines(view(1, 'one\ntwo')).map(plain), ['web-1 once | one', 'web-1 once | two'])
  t.same(outputLines(view(1, 'one\ntwo', true)).map(plain), [
    'web-1 once | one',
    'web-1 once | two (cut off)',
  ])
})

const question = 'GET /v1/rollouts/r-1/output'

async function controllerOf(t: Test): Promise<FakeController> {
  const fake = await new FakeController().start()
  t.teardown(() => fake.stop())
  fake.answerInTurn(
    question,
    { items: [view(1, 'creating tables')], next: null },
    { items: [view(2, 'done\u001b[2J')], next: null },
    { items: [], next: null },
  )
  return fake
}

void t.test('who deploys sees what hooks say', async (t) => {
  const fake = await controllerOf(t)
  const desired = 'PUT /v1/apps/shop/environments/production/desired'
  fake.answer(desired, { outcome: 'started', rollout: rollout() }, 202)
  fake.answerInTurn('GET /v1/rollouts/r-1', rollout(), committed())
  const deploy = ['deploy', 'shop', '0.0.12', '--env', 'production']
  const { out, exitCode } = run(deploy, { url: fake.url })
  await fake.listened()
  fake.change()
  await out.line(/creating tables/)
  fake.change()
  t.equal(await exitCode, 0)
  const said = out.lines.filter((line) => line.includes('|'))
  t.same(said, ['14:03:22  web-1 once | creating tables', '14:03:22  web-1 once | done\\x1b[2J'])
})

void t.test('who watches sees it too, while the rollout is open and at its end', async (t) => {
  const fake = await controllerOf(t)
  const open = environment({ rollout: rollout() })
  fake.answerInTurn('GET /v1/apps/shop/environments/production', open, environment())
  fake.answer('GET /v1/rollouts/r-1', committed())
  const watch = ['watch', 'shop', '--env', 'production', '--json']
  const watching = run(watch, { url: fake.url })
  await watching.out.line(/creating tables/)
  watching.interrupt()
  t.equal(await watching.exitCode, 0)
  const outputs = watching.out.lines
    .map((line) => JSON.parse(line) as { event: string; data: object })
    .filter(({ event }) => event === 'output')
  t.match(outputs[0]?.data, { app: 'shop', host: 'web-1', hook: 'once', text: 'creating tables' })
})
