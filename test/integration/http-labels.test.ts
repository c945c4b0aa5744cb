// Choosing hosts by their labels over HTTP: who is not chosen is excluded by name and reason, and a
// choice of nobody is refused before anything.

import t, { type Test } from 'tap'
import type { AgentPeer } from '../support/agent-peer.ts'
import { helloOf } from '../support/fleet-facts.ts'
import { RunningController } from '../support/running-controller.ts'
import { baseOf, openShop } from '../support/shop-server.ts'

const base = baseOf('production')

async function openLabelled(t: Test) {
  const there = await openShop(t)
  const labels = [
    { role: 'web', zone: 'a' },
    { role: 'worker', zone: 'a' },
  ]
  for (const [index, { host }] of there.hosts.entries()) {
    await there.ports.hosts.label(host, labels[index] ?? {})
  }
  return there
}

void t.test('hosts without the labels are excluded, and say why', async (t) => {
  const { desire, call, obey } = await openLabelled(t)
  const answer = await desire({ version: '1.0.0', on: ['role=web'] })
  t.match(answer.body.rollout, {
    participants: [{ name: 'web-1' }],
    excluded: [{ name: 'web-2', reason: 'not selected by role=web' }],
  })
  await call('POST', `/v1/rollouts/${answer.body.rollout?.id}/cancel`)
  const both = await desire({ version: '1.0.0', on: ['role=web,zone=a', 'role=worker,zone=b'] })
  t.match(both.body.rollout, {
    participants: [{ name: 'web-1' }],
    excluded: [{ reason: 'not selected by role=web,zone=a or role=worker,zone=b' }],
  })
  await call('POST', `/v1/rollouts/${both.body.rollout?.id}/cancel`)
  const any = await desire({ version: '2.0.0', on: ['role=web', 'role=worker'] })
  t.match(any.body.rollout, { participants: [{}, {}], excluded: [] })
  await obey()
  t.match((await call('GET', base)).body, { committed: { version: '2.0.0' } })
})

void t.test('a choice of nobody is refused before anything', async (t) => {
  const { desire, runner } = await openLabelled(t)
  const before = runner.state
  const refusals: readonly [string[], number, string][] = [
    [['role=db'], 409, 'nobody-selected'],
    [['role=web,zone=b'], 409, 'nobody-selected'],
    [['role'], 400, 'bad-request'],
    [[], 400, 'bad-request'],
  ]
  for (const [on, status, code] of refusals) {
    t.match(await desire({ version: '1.0.0', on }), { status, body: { code, hint: /./ } })
  }
  const exclude = { 'web-1': 'repair' }
  t.match(await desire({ version: '1.0.0', on: ['role=web'], exclude }), {
    status: 409,
    body: { code: 'nobody-selected' },
  })
  t.equal(runner.state, before)
})

void t.test('hosts are listed by their labels', async (t) => {
  const { call } = await openLabelled(t)
  const all = await call('GET', '/v1/hosts')
  t.match(all.body.items, [{ labels: { role: 'web', zone: 'a' } }, { labels: { role: 'worker' } }])
  const some = await call('GET', '/v1/hosts?app=shop&label=role%3Dworker,zone%3Da')
  t.match(some.body, { items: [{ name: 'web-2' }] })
  t.equal(some.body.items.length, 1)
  t.same((await call('GET', '/v1/hosts?label=role%3Ddb')).body.items, [])
  t.match(await call('GET', '/v1/hosts?label=role'), { status: 400 })
})

void t.test('labels are what the agent says, and are known when it is away', async (t) => {
  const controller = await RunningController.start(t)
  const key = await controller.enrol('web-1')
  const labelsOf = async () => {
    const { items } = await controller.ask<{ items: { labels: object }[] }>('GET', '/v1/hosts')
    return items[0]?.labels
  }
  const connect = async (labels: Record<string, string>): Promise<AgentPeer> => {
    const peer = await controller.connect(key)
    peer.say(helloOf({ labels }))
    await peer.settled()
    return peer
  }
  t.same(await labelsOf(), {})
  const first = await connect({ role: 'web' })
  t.same(await labelsOf(), { role: 'web' })
  await first.end()
  const second = await connect({ role: 'db', zone: 'a' })
  t.same(await labelsOf(), { role: 'db', zone: 'a' })
  await second.end()
  await controller.stop()
  await controller.start()
  t.same(await labelsOf(), { role: 'db', zone: 'a' })
  const wrong = await controller.connect(key)
  wrong.sayRaw(JSON.stringify(helloOf({ labels: { Role: 'web' } })))
  t.match(await wrong.closed, { code: 4400 })
})
