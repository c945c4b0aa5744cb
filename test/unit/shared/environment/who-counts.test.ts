// Hosts that are drained, excluded and let in again, and the deadlines that hosts declare.

import t from 'tap'
import { limits } from '#shared/limits.ts'
import { Fleet, v1, v2 } from './fleet.ts'

void t.test('a drained host holds, and takes no part until it is let in', async (t) => {
  const fleet = Fleet.committed()
  fleet.drain('c', 'new disk')
  t.match(fleet.told('c'), { hold: true, drain: true, run: { release: null } })
  t.match(fleet.record.decision, { kind: 'settle', rollout: null }, 'no rollout decided it')
  fleet.deploy(v2)
  t.same(Object.keys(fleet.rollout.participants), ['a', 'b'])
  fleet.drain('a', 'too late')
  t.equal(fleet.said, 'rollout-open')
  for (const host of ['a', 'b']) fleet.hears(host, 'ready')
  for (const host of ['a', 'b']) fleet.hears(host, 'healthy')
  t.equal(fleet.rollout.phase, 'committed')
  t.match(fleet.told('c'), { hold: true })
  fleet.drain('c', null)
  t.match(fleet.told('c'), { hold: false, drain: false, run: { release: v2 } })
})

void t.test('with every host drained nobody is selected', async (t) => {
  const fleet = Fleet.committed()
  for (const host of ['a', 'b', 'c']) fleet.drain(host, 'test')
  fleet.deploy(v2)
  t.equal(fleet.said, 'nobody-selected')
})

void t.test('T21: an excluded host holds until a request does not exclude it', async (t) => {
  const fleet = Fleet.committed()
  fleet.deploy(v2, { exclude: { c: 'test' } })
  for (const host of ['a', 'b']) fleet.hears(host, 'ready')
  for (const host of ['a', 'b']) fleet.hears(host, 'healthy')
  t.match(fleet.told('c'), { hold: true })
  fleet.deploy(v2, { exclude: { c: 'test' } })
  t.same([fleet.said, ...fleet.decided], ['unchanged'])
  t.match(fleet.told('c'), { hold: true })
  fleet.deploy(v2)
  t.same([fleet.said, ...fleet.decided], ['unchanged', 'settle'])
  t.match(fleet.told('c'), { hold: false, run: { release: v2 } })
  t.same(fleet.record.committed, v2)
})

void t.test(
  'what counted hosts declare makes the phases longer, and no more than that',
  async (t) => {
    const fleet = Fleet.committed()
    fleet.declares['b'] = { gateMs: 40_000, activationMs: 20_000 }
    fleet.declares['c'] = { gateMs: 10 * limits.declaredMsMax }
    fleet.deploy(v2, { requirement: { kind: 'count', value: 2 } })
    fleet.toDeadline()
    for (const host of ['a', 'b']) fleet.hears(host, 'ready')
    fleet.judge()
    t.equal(fleet.rollout.deadlineAt, fleet.at + limits.activationDeadlineMs + 20_000)
    for (const host of ['a', 'b']) fleet.hears(host, 'active')
    t.equal(fleet.rollout.deadlineAt, fleet.at + limits.verifyDeadlineMs + 40_000)
  },
)

void t.test('the way back has time for the steps that hosts declare', async (t) => {
  const fleet = Fleet.committed()
  fleet.declares['b'] = { activationMs: 20_000 }
  fleet.deploy(v2)
  fleet.everybody('ready')
  fleet.cancel()
  t.equal(fleet.rollout.deadlineAt, fleet.at + limits.rollBackDeadlineMs + 20_000)
})

void t.test('a way back waits for no gate', async (t) => {
  const fleet = Fleet.committed()
  fleet.deploy(v2)
  fleet.everybody('ready')
  fleet.cancel()
  for (const host of ['a', 'b', 'c']) fleet.hears(host, 'back', { phase: 'active' })
  t.equal(fleet.rollout.phase, 'rolled-back')
  t.same(fleet.record.committed, v1)
})
