// The runner of one environment: nothing is told or answered before it is durable, and nothing that
// could not be saved is lost.

import t from 'tap'
import { RevisionConflict } from '#controller/runtime/environment-store.ts'
import { limits } from '#shared/limits.ts'
import { EnvironmentWorld, readyForOne } from '../../../support/environment-world.ts'
import { asker, fenceOf, one, two } from '../../../support/fleet-facts.ts'
import { requestOf } from '../../../support/rollout-requests.ts'

/** An environment with hosts that have said hello and reported once. */
async function buildWorld(...hosts: string[]) {
  const world = new EnvironmentWorld()
  const runner = await world.start()
  for (const host of hosts) {
    runner.join(host, `name-${host}`)
    await world.report(runner, host)
  }
  world.news()
  return { world, runner }
}

async function buildStagingWorld(...hosts: string[]) {
  const built = await buildWorld(...hosts)
  await built.runner.desire(requestOf('r1', one), asker)
  built.world.news()
  return built
}

void t.test('a decision is saved, then told, then answered', async (t) => {
  const { world, runner } = await buildWorld('a', 'b')
  const answered = runner.desire(requestOf('r1', one), asker).then((answer) => {
    world.log.push(`answered ${answer.outcome}`)
  })
  await answered
  t.same(world.news(), [
    'saved staging decided rollout-started',
    'told a stage 1',
    'told b stage 1',
    'answered started',
  ])
})

void t.test('the barrier is durable before any host hears of it', async (t) => {
  const { world, runner } = await buildStagingWorld('a', 'b')
  await world.report(runner, 'a', readyForOne)
  t.same(world.news(), [])
  const gate = Promise.withResolvers<void>()
  world.store.gate = gate.promise
  const last = world.report(runner, 'b', readyForOne)
  await Promise.resolve()
  t.same(world.news(), [], 'nothing is told while it is being saved')
  t.equal(runner.state.record.rollout?.phase, 'staging')
  gate.resolve()
  await last
  t.same(
    [...new Set(world.news())],
    ['saved activating decided barrier-opened', 'told a activate 2', 'told b activate 2'],
  )
})

void t.test(
  'a request that could not be saved is answered busy, and nothing happened',
  async (t) => {
    const { world, runner } = await buildWorld('a')
    const before = runner.state
    world.store.failure = new Error('disk full')
    await t.rejects(runner.desire(requestOf('r1', one), asker), { code: 'busy', hint: /./ })
    t.equal(runner.state, before)
    t.same(world.news(), ['save failed', 'unsaved'])
    world.store.failure = null
    t.match(await runner.desire(requestOf('r2', one), asker), {
      outcome: 'started',
      rollout: { id: 'r2' },
    })
  },
)

void t.test('a barrier that could not be saved opens with the next report', async (t) => {
  const { world, runner } = await buildStagingWorld('a')
  world.store.failure = new Error('disk full')
  await world.report(runner, 'a', readyForOne)
  t.same(world.news(), ['save failed', 'unsaved'])
  t.equal(runner.state.record.rollout?.phase, 'staging')
  world.store.failure = null
  await world.report(runner, 'a', { ...readyForOne, seq: 9 })
  t.equal(runner.state.record.rollout?.phase, 'activating')
})

void t.test('a deadline that could not be judged is judged again', async (t) => {
  const { world, runner } = await buildStagingWorld('a')
  world.store.failure = new Error('disk full')
  world.clock.advance(limits.stageDeadlineMs)
  await runner.idle()
  t.same(world.news(), ['save failed', 'unsaved'])
  world.clock.advance(5000)
  await runner.idle()
  t.ok(world.news().filter((line) => line === 'unsaved').length >= 1, 'it was tried again')
  world.store.failure = null
  world.clock.advance(1000)
  await runner.idle()
  t.match(runner.state.record.rollout, { phase: 'aborted', reason: 'stage-deadline' })
  t.same(world.clock.pending, [], 'and nothing is left to wait for')
})

void t.test('a timer that fires early is set again', async (t) => {
  const { world, runner } = await buildStagingWorld('a')
  const [deadlineAt] = world.clock.pending
  t.equal(deadlineAt, runner.state.record.rollout?.deadlineAt)
  world.clock.advance(limits.stageDeadlineMs - 1)
  await runner.idle()
  t.equal(runner.state.record.rollout?.phase, 'staging')
  world.clock.advance(1)
  await runner.idle()
  t.equal(runner.state.record.rollout?.phase, 'aborted')
})

void t.test('a host whose joining could not be saved joins as soon as it can be', async (t) => {
  const { world, runner } = await buildWorld('a')
  world.store.failure = new Error('disk full')
  runner.join('b', 'name-b')
  await runner.idle()
  t.same(Object.keys(runner.state.record.members), ['a'])
  world.store.failure = null
  world.clock.advance(1000)
  await runner.idle()
  t.same(Object.keys(runner.state.record.members), ['a', 'b'])
})

void t.test(
  'a removal that could not be saved is made up for, but never over a new join',
  async (t) => {
    const { world, runner } = await buildWorld('a', 'b')
    world.store.failure = new Error('disk full')
    runner.remove('a')
    runner.remove('b')
    await runner.idle()
    t.same(Object.keys(runner.state.record.members), ['a', 'b'])
    runner.join('b', 'name-b')
    await runner.idle()
    world.store.failure = null
    world.clock.advance(1000)
    await runner.idle()
    t.same(Object.keys(runner.state.record.members), ['b'])
    world.clock.advance(60_000)
    await runner.idle()
    t.same(Object.keys(runner.state.record.members), ['b'])
  },
)

void t.test('a session that closed while its report was looked into is closed', async (t) => {
  const { world, runner } = await buildStagingWorld('a', 'b')
  await world.report(runner, 'a', readyForOne)
  const gate = Promise.withResolvers<void>()
  world.store.gate = gate.promise
  const fence = runner.state.record.decision?.fence ?? null
  // An older fence has to be looked up.
  const late = world.report(runner, 'b', { ...readyForOne, fence: fenceOf(1, 1, 'e') }, 2)
  runner.closeSession('b', 2)
  gate.resolve()
  world.store.gate = null
  await late
  await runner.idle()
  t.not(runner.state.sessions['b']?.session, 2, 'the report of a dead session is dropped')
  t.same(runner.state.record.fencedBy, {})
  await world.report(runner, 'b', { ...readyForOne, fence, seq: 1 }, 3)
  t.equal(runner.state.record.rollout?.phase, 'activating', 'the next session is heard')
})

void t.test('a host is told in the session that was heard, and in no other', async (t) => {
  const { world, runner } = await buildWorld('a')
  await world.report(runner, 'a', { seq: 1 }, 7)
  await runner.desire(requestOf('r1', one), asker)
  t.same(
    world.told.map(({ host, session }) => [host, session]),
    [['a', 7]],
  )
})

void t.test('a closed session is told nothing, an open one whatever it missed', async (t) => {
  const { world, runner } = await buildStagingWorld('a', 'b')
  runner.closeSession('a', 1)
  await runner.cancel(null, asker)
  t.same(world.news(), ['saved aborted decided rollout-ended', 'told b settle 2'])
  await world.report(runner, 'a', { seq: 1, fence: null }, 2)
  t.same(world.news(), ['told a settle 2'], 'a host that is behind is told with its report')
  await world.report(runner, 'a', { seq: 2 }, 2)
  t.same(world.news(), [], 'one that is not behind is not told again')
})

void t.test('whoever is fenced neither tells nor is asked in vain', async (t) => {
  const { world, runner } = await buildStagingWorld('a', 'b')
  await world.report(runner, 'a', { fence: fenceOf(1, 7) })
  t.match(world.news(), ['saved staging fenced'])
  t.match(await runner.desire(requestOf('r2', two), asker), { outcome: 'refused', code: 'fenced' })
  t.match(await runner.cancel(null, asker), { outcome: 'refused', code: 'fenced' })
  await world.report(runner, 'b', { fence: null })
  t.same(world.news(), [])
  t.same(world.clock.pending, [], 'deadlines do not run')
  t.match(await runner.recover(null, asker), { outcome: 'recovered' })
  t.match(world.news(), [/^saved .*recovered/, 'told a settle 1', 'told b settle 1'])
  t.equal(runner.state.record.decision?.fence.term, 2)
})

void t.test(
  'a repeated key is answered with the first rollout, another release is refused',
  async (t) => {
    const { world, runner } = await buildWorld('a')
    const first = requestOf('r1', one, { requestKey: 'k' })
    const started = await runner.desire(first, asker)
    t.equal(started.outcome, 'started')
    if (started.outcome !== 'started') return
    world.store.keys.set('k', started.rollout)
    const again = requestOf('r2', one, { requestKey: 'k' })
    t.match(await runner.desire(again, asker), { outcome: 'open', rollout: { id: 'r1' } })
    const other = requestOf('r3', two, { requestKey: 'k' })
    await t.rejects(runner.desire(other, asker), { code: 'key-reused' })
    t.equal(runner.state.record.rollout?.id, 'r1')
  },
)

void t.test('a store that somebody else writes to ends the controller, at once', async (t) => {
  const { world, runner } = await buildWorld('a')
  world.store.failure = new RevisionConflict('somebody else')
  const asked = runner.desire(requestOf('r1', one), asker)
  await t.rejects(asked, { code: 'busy' })
  t.same(
    world.conflicts.map((error) => error.name),
    ['RevisionConflict'],
  )
  world.store.failure = null
  world.news()
  await world.report(runner, 'a', { seq: 5 })
  await t.rejects(runner.desire(requestOf('r2', one), asker), { code: 'busy' })
  t.same(world.news(), [], 'nothing is judged after it')
})

void t.test(
  'who waits when the controller stops is sent away, and so is who comes after',
  async (t) => {
    const { world, runner } = await buildWorld('a')
    const gate = Promise.withResolvers<void>()
    world.store.gate = gate.promise
    const asked = runner.desire(requestOf('r1', one), asker)
    const refused = t.rejects(asked, { code: 'busy', hint: /again/ })
    await Promise.resolve()
    runner.stop()
    await refused
    await t.rejects(runner.cancel(null, asker), { code: 'busy' })
    await t.rejects(runner.desire(requestOf('r2', one), asker), { code: 'busy' })
    gate.resolve()
    await runner.idle()
    t.same(world.told, [], 'what was still saved is told after the next start')
    t.same(world.clock.pending, [])
  },
)

void t.test('a restart resumes with a lease for the hosts, and tells nobody unheard', async (t) => {
  const { world, runner } = await buildStagingWorld('a')
  runner.stop()
  world.clock.advance(limits.stageDeadlineMs * 2)
  const resumed = await world.start()
  t.match(world.news(), ['saved staging'])
  t.same(world.clock.pending, [world.clock.now() + limits.leaseMs])
  await world.report(resumed, 'a', {
    ...readyForOne,
    fence: resumed.state.record.decision?.fence ?? null,
  })
  t.equal(resumed.state.record.rollout?.phase, 'activating')
})

void t.test('a restart past the activation deadline goes straight back', async (t) => {
  const { world, runner } = await buildStagingWorld('a')
  await world.report(runner, 'a', readyForOne)
  runner.stop()
  world.clock.advance(limits.activationDeadlineMs)
  world.news()
  const resumed = await world.start()
  t.equal(resumed.state.record.rollout?.phase, 'rolling-back')
  t.same(world.news(), ['saved rolling-back decided roll-back-started'], 'durable, untold')
})
