// The runner of one app: what is durable before what is done, what happens when, and what does not
// stop when the disk or the network does.

import t from 'tap'
import { limits } from '#shared/limits.ts'
import { AppWorld, desiredOf, diskIsFull, runs } from '../../../support/app-world.ts'
import { fenceOf, one, two } from '../../../support/fleet-facts.ts'

const toTwo = (epoch: number, activateAt: number | null) =>
  desiredOf(epoch, { kind: 'activate', run: { release: two, fallback: one, activateAt } })
const stageTwo = (epoch: number) =>
  desiredOf(epoch, { run: { release: one, fallback: one, activateAt: null }, stage: two })
const settled = (epoch: number) =>
  desiredOf(epoch, {
    kind: 'settle',
    run: { release: two, fallback: two, activateAt: null },
    history: [two, one],
  })

/** A host that runs release one in an open session. */
async function runningOne() {
  const world = AppWorld.running(one)
  const runner = await world.start()
  t.teardown(() => runner.stop())
  runner.openSession(1)
  await runner.idle()
  const tell = async (desired: ReturnType<typeof desiredOf>, session = 1) => {
    runner.receive(session, desired)
    await runner.idle()
    // What the ports do is over a turn later, and comes back as an event.
    await new Promise(setImmediate)
    await runner.idle()
  }
  return { world, runner, tell }
}

/** The same host, with release two staged and promised. */
async function readyForTwo() {
  const there = await runningOne()
  await there.tell(stageTwo(1))
  there.world.news()
  return there
}

void t.test('a release is staged, attested with its fallback, and promised', async (t) => {
  const { world, tell } = await runningOne()
  await tell(stageTwo(1))
  const news = world.news()
  t.equal(news[0], 'save 1', 'the fence is durable before anything else')
  t.ok(news.includes('stage 2.0.0'))
  t.ok(news.indexOf('stage 2.0.0') < news.lastIndexOf('attest 2.0.0'))
  t.match(world.lastReport, {
    phase: 'ready',
    ready: { target: two.tree, fallback: one.tree },
    fence: fenceOf(1, 1),
  })
  t.ok(runs(world, one))
})

void t.test('at the instant of the swap nothing happens but the swap', async (t) => {
  const { world, tell, runner } = await readyForTwo()
  const activateAt = world.clock.now() + 100
  await tell(toTwo(2, activateAt))
  t.match(world.news(), ['save 2 reload due'], 'what the swap needs is durable long before')
  world.clock.advance(99)
  await runner.idle()
  t.same(world.news(), [])
  world.clock.advance(1)
  t.equal(world.log[0], undefined)
  await runner.idle()
  t.same(world.log.slice(0, 2), ['swap 2.0.0', 'swapped timed'])
  t.ok(runs(world, two))
  await new Promise(setImmediate)
  await runner.idle()
  const news = world.news()
  t.ok(news.indexOf('steps from 1.0.0 to 2.0.0') > 1)
  t.ok(
    news.indexOf('save 2') > news.indexOf('steps from 1.0.0 to 2.0.0'),
    'that it was done is saved after it',
  )
  t.match(world.lastReport, {
    phase: 'healthy',
    activation: { activatedAt: activateAt, mode: 'timed' },
  })
})

void t.test('who is unsure of the clock goes on receipt, and says so', async (t) => {
  const unsure = [null, { offsetMs: 0, errorMs: limits.clockErrorMaxMs + 0.1 }]
  for (const offset of unsure) {
    const { world, tell } = await readyForTwo()
    world.offset = offset
    await tell(toTwo(2, world.clock.now() + 1000))
    t.ok(runs(world, two))
    t.ok(world.news().includes('swapped on-receipt'))
  }
})

void t.test('an instant in the past, or too far away, does not hold the host up', async (t) => {
  const past = await readyForTwo()
  await past.tell(toTwo(2, past.world.clock.now() - 1))
  t.ok(runs(past.world, two))
  const far = await readyForTwo()
  await far.tell(toTwo(2, far.world.clock.now() + 3_600_000))
  far.world.clock.advance(limits.leadMaxMs)
  await far.runner.idle()
  t.ok(runs(far.world, two))
})

void t.test('the controller\u2019s instant is one of its own clock', async (t) => {
  const { world, tell, runner } = await readyForTwo()
  world.offset = { offsetMs: 1_000_000, errorMs: 1 }
  await tell(toTwo(2, world.clock.now() + 1_000_000 + 100))
  world.clock.advance(99)
  await runner.idle()
  t.ok(runs(world, one))
  world.clock.advance(1)
  await runner.idle()
  t.ok(runs(world, two))
})

void t.test('a higher fence before the instant takes the swap back', async (t) => {
  const { world, tell, runner } = await readyForTwo()
  await tell(toTwo(2, world.clock.now() + 100))
  await tell(
    desiredOf(3, { kind: 'roll-back', run: { release: one, fallback: one, activateAt: null } }),
  )
  world.clock.advance(1000)
  await runner.idle()
  t.ok(runs(world, one))
  t.notOk(world.news().some((line) => line.startsWith('swap')))
})

void t.test('what an old session or a lower fence says is not acted on', async (t) => {
  const { world, tell, runner } = await readyForTwo()
  runner.openSession(2)
  await tell(toTwo(2, null), 1)
  await tell(toTwo(1, null), 2)
  t.ok(runs(world, one))
  t.equal(world.journal.fence?.epoch, 1)
  t.same(
    world.news().filter((line) => line !== 'conflict'),
    [],
  )
})

void t.test(
  'nothing is done before the journal is durable, and everything once it is',
  async (t) => {
    const { world, tell, runner } = await readyForTwo()
    world.unsaved = diskIsFull
    runner.receive(1, toTwo(2, null))
    await new Promise(setImmediate)
    t.same(world.news(), ['unsaved no-space'])
    t.ok(runs(world, one))
    for (let times = 0; times < 3; times += 1) {
      world.clock.advance(limits.journalRetryMs)
      await new Promise(setImmediate)
    }
    t.equal(world.news().filter((line) => line === 'unsaved no-space').length, 3)
    t.ok(runs(world, one))
    world.unsaved = null
    world.clock.advance(limits.journalRetryMs)
    await runner.idle()
    await new Promise(setImmediate)
    await runner.idle()
    t.ok(runs(world, two))
    t.equal(world.news()[0], 'save 2 reload due')
    await tell(settled(3))
    t.match(world.lastReport, { phase: 'healthy', serving: true })
  },
)

void t.test('a decision that was overtaken while the disk was full is not acted on', async (t) => {
  const { world, runner } = await readyForTwo()
  world.unsaved = diskIsFull
  runner.receive(1, toTwo(2, world.clock.now() + 100))
  await new Promise(setImmediate)
  const back = { release: one, fallback: one, activateAt: null }
  runner.receive(1, desiredOf(3, { kind: 'roll-back', run: back }))
  world.unsaved = null
  world.clock.advance(60_000)
  await runner.idle()
  await new Promise(setImmediate)
  await runner.idle()
  t.ok(runs(world, one))
  t.equal(world.journal.fence?.epoch, 3)
  t.notOk(world.news().some((line) => line.startsWith('swap')))
})

void t.test('a full disk at the start holds up this app alone', async (t) => {
  const world = AppWorld.running(one, two)
  world.journal = { ...world.journal, fence: fenceOf(1, 2), told: toTwo(2, null) }
  world.unsaved = diskIsFull
  const runner = await world.start()
  t.teardown(() => runner.stop())
  await new Promise(setImmediate)
  world.unsaved = null
  world.clock.advance(limits.journalRetryMs)
  await new Promise(setImmediate)
  await runner.idle()
  await new Promise(setImmediate)
  await runner.idle()
  t.ok(runs(world, two))
})

void t.test('a restart repeats the reload steps that are owed, and no swap', async (t) => {
  const world = AppWorld.running(two, one)
  world.journal = {
    ...world.journal,
    fence: fenceOf(1, 2),
    told: toTwo(2, 5),
    reloadDue: true,
    previous: { link: 'versions/1.0.0' },
  }
  const runner = await world.start()
  t.teardown(() => runner.stop())
  await runner.idle()
  await new Promise(setImmediate)
  await runner.idle()
  const news = world.news()
  t.ok(news.includes('steps from 1.0.0 to 2.0.0'))
  t.notOk(news.some((line) => line.startsWith('swap')))
  t.equal(world.journal.reloadDue, false)
})

void t.test('a failed stage is tried again after a jittered wait that grows', async (t) => {
  const { world, tell, runner } = await runningOne()
  world.random = 0.5
  world.stageOutcome = { kind: 'failed', failure: { code: 'stalled', message: 'no bytes' } }
  await tell(stageTwo(1))
  t.match(world.lastReport, { phase: 'failed', failure: { code: 'stalled' } })
  const stages = () => world.news().filter((line) => line === 'stage 2.0.0').length
  t.equal(stages(), 1)
  for (const waitMs of [500, 1000, 2000]) {
    world.clock.advance(waitMs - 1)
    await new Promise(setImmediate)
    t.equal(stages(), 0, `not before ${waitMs} ms`)
    world.clock.advance(1)
    await new Promise(setImmediate)
    t.equal(stages(), 1)
  }
  world.stageOutcome = { kind: 'staged' }
  world.clock.advance(limits.retryMaxMs)
  await new Promise(setImmediate)
  await runner.idle()
  await new Promise(setImmediate)
  t.equal(world.lastReport?.phase, 'ready')
})

void t.test('a failed swap under a decision is final, and told at once', async (t) => {
  const { world, tell, runner } = await readyForTwo()
  world.swapFailure = Object.assign(diskIsFull, { message: 'it cannot be' })
  await tell(toTwo(2, null))
  t.match(world.lastReport, { phase: 'failed', failure: { code: 'no-space' } })
  const swaps = world.news().filter((line) => line === 'swap 2.0.0').length
  t.equal(swaps, 1)
  world.clock.advance(limits.retryMaxMs)
  await runner.idle()
  t.notOk(world.news().includes('swap 2.0.0'))
  await tell(
    desiredOf(3, { kind: 'roll-back', run: { release: one, fallback: one, activateAt: null } }),
  )
  t.match(world.lastReport, { phase: 'healthy', current: one })
})

void t.test('how far a stage is, is told twice a second and no more', async (t) => {
  const { world, tell, runner } = await runningOne()
  const gate = Promise.withResolvers<void>()
  world.stageGate = gate.promise
  await tell(stageTwo(1))
  const before = world.reports.length
  for (let bytes = 0; bytes < 1000; bytes += 1) {
    world.onProgress?.(bytes, 1000)
    world.clock.advance(2)
  }
  await runner.idle()
  t.equal(world.reports.length - before, 2000 / limits.progressEveryMs)
  t.match(world.lastReport, { phase: 'fetching', progress: { bytesTotal: 1000 } })
  gate.resolve()
})

void t.test('a stage that nobody wants any more is ended', async (t) => {
  const { world, tell, runner } = await runningOne()
  const gate = Promise.withResolvers<void>()
  world.stageGate = gate.promise
  await tell(stageTwo(1))
  await tell(
    desiredOf(2, { kind: 'settle', run: { release: one, fallback: one, activateAt: null } }),
  )
  t.ok(world.news().includes('stage aborted'))
  gate.resolve()
  await new Promise(setImmediate)
  await runner.idle()
  t.same(world.held, [one])
  t.equal(world.lastReport?.phase, 'healthy')
})

void t.test(
  'the disk is looked at with every report, and from time to time without one',
  async (t) => {
    const { world, tell, runner } = await runningOne()
    await tell(
      desiredOf(1, { kind: 'settle', run: { release: one, fallback: one, activateAt: null } }),
    )
    t.match(world.lastReport, { phase: 'healthy', serving: true })
    runner.closeSession(1)
    await runner.idle()
    world.current = { kind: 'foreign', link: '/srv/elsewhere' }
    world.held = []
    world.news()
    world.clock.advance(limits.attestEveryMs)
    await new Promise(setImmediate)
    await runner.idle()
    t.ok(world.news().includes('not serving'), 'a drifted link is seen without a controller')
  },
)

void t.test('stop ends the timers and the stage, and nothing is done after it', async (t) => {
  const { world, tell, runner } = await readyForTwo()
  await tell(toTwo(2, world.clock.now() + 100))
  world.news()
  runner.stop()
  t.same(world.clock.pending, [])
  world.clock.advance(60_000)
  await runner.look()
  await new Promise(setImmediate)
  t.same(world.news(), [])
  t.ok(runs(world, one))

  const staging = await runningOne()
  const gate = Promise.withResolvers<void>()
  staging.world.stageGate = gate.promise
  await staging.tell(stageTwo(1))
  staging.runner.stop()
  t.ok(staging.world.news().includes('stage aborted'))
  gate.resolve()
  await new Promise(setImmediate)
  t.same(staging.world.news(), [])
})
