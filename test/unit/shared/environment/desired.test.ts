// What a request for a release does, and what each host is told of it (ARCHITECTURE.md, "Desired").

import t from 'tap'
import { Fleet, v1, v2, v3 } from './fleet.ts'

void t.test('the same version while it is open is the same rollout', async (t) => {
  const fleet = Fleet.committed()
  fleet.deploy(v2)
  const { id } = fleet.rollout
  fleet.deploy(v2)
  t.equal(fleet.said, 'open')
  t.equal(fleet.rollout.id, id)
  t.same(fleet.decided, [])
})

void t.test('the committed version with nothing open is unchanged', async (t) => {
  const fleet = Fleet.committed()
  const { record } = fleet
  fleet.deploy(v1)
  t.equal(fleet.said, 'unchanged')
  t.equal(fleet.record, record)
})

void t.test('the committed version while another stages aborts that', async (t) => {
  const fleet = Fleet.committed()
  fleet.deploy(v2)
  fleet.deploy(v1)
  t.equal(fleet.said, 'returned')
  t.equal(fleet.rollout.phase, 'aborted')
  t.equal(fleet.rollout.reason, 'superseded')
  t.same(fleet.record.desired, v1)
})

void t.test('another version while staging supersedes, and stays desired', async (t) => {
  const fleet = Fleet.committed()
  fleet.deploy(v2)
  fleet.deploy(v3)
  t.equal(fleet.said, 'started')
  const ended = fleet.last.facts.find((fact) => fact.type === 'rollout-ended')
  t.equal(ended?.rollout.reason, 'superseded')
  t.same(fleet.record.desired, v3)
  t.same(fleet.rollout.target, v3)
  t.same(fleet.decided, ['settle', 'stage'])
})

void t.test('a request that is refused while staging aborts nothing', async (t) => {
  const fleet = Fleet.committed()
  fleet.deploy(v2)
  const { record } = fleet
  fleet.deploy(v3, { requirement: { kind: 'count', value: 9 } })
  t.equal(fleet.said, 'too-few-hosts')
  t.equal(fleet.record, record)
})

void t.test(
  'another version from the decision on is refused, with the rollout named',
  async (t) => {
    const fleet = Fleet.committed()
    fleet.deploy(v2)
    fleet.everybody('ready')
    fleet.deploy(v3)
    const { answer } = fleet
    t.equal(fleet.said, 'rollout-open')
    t.match(answer?.outcome === 'refused' ? answer.details : null, { rollout: fleet.rollout.id })
    t.same(fleet.record.desired, v2)
  },
)

void t.test('after an abort or a roll back desired is the committed release again', async (t) => {
  const fleet = Fleet.committed()
  fleet.deploy(v2)
  t.same(fleet.record.desired, v2)
  fleet.cancel()
  t.same(fleet.record.desired, v1)
  fleet.deploy(v2)
  fleet.everybody('ready')
  fleet.cancel()
  t.same(fleet.record.desired, v2)
  fleet.everybody('back')
  t.same(fleet.record.desired, v1)
})

void t.test('no hosts at all is refused, unless an empty environment is allowed', async (t) => {
  const fleet = new Fleet([])
  fleet.deploy(v1)
  t.equal(fleet.said, 'no-hosts')
  fleet.deploy(v1, { allowEmpty: true })
  t.equal(fleet.said, 'started')
  t.equal(fleet.rollout.phase, 'committed')
  t.equal(fleet.rollout.reason, 'no-hosts')
  t.same(fleet.record.committed, v1)
  fleet.apply('host-joined', { host: 'a', name: 'a' })
  t.same(fleet.told('a')?.run.release, v1)
})

void t.test('a policy that selects nobody or asks for too many is refused', async (t) => {
  const fleet = Fleet.committed()
  const all = { a: 'test', b: 'test', c: 'test' }
  for (const [request, code] of [
    [{ exclude: all }, 'nobody-selected'],
    [{ exclude: all, allowEmpty: true }, 'nobody-selected'],
    [{ exclude: { x: 'test' } }, 'unknown-host'],
    [{ requirement: { kind: 'count', value: 4 } }, 'too-few-hosts'],
    [{ requirement: { kind: 'count', value: 0 } }, 'too-few-hosts'],
    [{ requirement: { kind: 'count', value: 3 }, exclude: { a: 'test' } }, 'too-few-hosts'],
    [{ requirement: { kind: 'percent', value: 0 } }, 'too-few-hosts'],
  ] as const) {
    fleet.deploy(v2, request)
    t.equal(fleet.said, code)
    t.equal(fleet.phase, 'settled')
  }
})

void t.test(
  'while staging everybody is told to run the fallback and to stage the target',
  async (t) => {
    const fleet = Fleet.committed()
    fleet.deploy(v2)
    t.match(fleet.told('a'), {
      kind: 'stage',
      hold: false,
      run: { release: v1, fallback: v1, activateAt: null },
      stage: v2,
    })
  },
)

void t.test('while nothing is committed run is null in every decision but activate', async (t) => {
  const fleet = new Fleet()
  fleet.deploy(v1)
  t.same(fleet.told('a')?.run, { release: null, fallback: null, activateAt: null })
  fleet.everybody('ready')
  t.same(fleet.told('a')?.run.release, v1)
  t.equal(fleet.told('a')?.run.fallback, null)
  fleet.cancel()
  t.same(fleet.told('a')?.run, { release: null, fallback: null, activateAt: null })
  fleet.everybody('back')
  fleet.deploy(v2)
  fleet.cancel()
  t.same(fleet.told('a')?.run, { release: null, fallback: null, activateAt: null })
})

void t.test(
  'counted hosts are told to activate, those left behind to stay and to stage',
  async (t) => {
    const fleet = Fleet.committed()
    fleet.deploy(v2, { requirement: { kind: 'count', value: 2 } })
    fleet.toDeadline()
    fleet.hears('a', 'ready')
    fleet.hears('b', 'ready')
    fleet.judge()
    const { activateAt } = fleet.rollout
    t.same(fleet.told('a')?.run, { release: v2, fallback: v1, activateAt })
    t.equal(fleet.told('a')?.stage, null)
    t.same(fleet.told('c')?.run, { release: v1, fallback: v1, activateAt: null })
    t.same(fleet.told('c')?.stage, v2)
    t.same(fleet.told('c')?.fence, fleet.told('a')?.fence)
    fleet.hears('a', 'healthy')
    fleet.hears('b', 'healthy')
    t.same(fleet.told('c')?.run.release, v2)
  },
)

void t.test(
  'an excluded host holds what it runs until a rollout that does not exclude it',
  async (t) => {
    const fleet = Fleet.committed()
    fleet.deploy(v2, { exclude: { c: 'disk replacement' } })
    const held = {
      hold: true,
      run: { release: null, fallback: null, activateAt: null },
      stage: null,
    }
    t.match(fleet.told('c'), held)
    fleet.hears('a', 'ready')
    fleet.hears('b', 'ready')
    t.match(fleet.told('c'), held)
    fleet.hears('a', 'healthy')
    fleet.hears('b', 'healthy')
    t.equal(fleet.rollout.phase, 'committed')
    t.match(fleet.told('c'), held)
    fleet.deploy(v3)
    t.match(fleet.told('c'), { hold: false, run: { release: v2 }, stage: v3 })
  },
)

void t.test('an excluded host that is removed and comes back is still excluded', async (t) => {
  const fleet = Fleet.committed()
  fleet.deploy(v2, { exclude: { c: 'disk replacement' } })
  const told = fleet.told('c')
  fleet.apply('host-removed', { host: 'c' })
  t.equal(fleet.told('c'), null)
  fleet.apply('host-joined', { host: 'c', name: 'c' })
  t.same(fleet.told('c'), told)
  t.same(Object.keys(fleet.rollout.participants), ['a', 'b'])
})

void t.test('a host that joins while staging is told the fallback first', async (t) => {
  const fleet = Fleet.committed()
  fleet.deploy(v2)
  fleet.apply('host-joined', { host: 'd', name: 'd' })
  t.match(fleet.told('d'), { run: { release: v1 }, stage: v2 })
})

void t.test('nobody is told anything before the first request, strangers never', async (t) => {
  t.equal(new Fleet().told('a'), null)
  t.equal(Fleet.committed().told('x'), null)
})

void t.test('the history has what was activated, newest first and each once', async (t) => {
  const fleet = Fleet.committed()
  fleet.deploy(v2)
  t.same(fleet.record.history, [v1])
  fleet.everybody('ready')
  t.same(fleet.record.history, [v2, v1])
  fleet.cancel()
  t.same(fleet.record.history, [v1, v2])
  fleet.everybody('back')
  t.same(fleet.told('a')?.history, [v1, v2])
})
