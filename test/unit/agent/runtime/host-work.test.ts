// The host's own work as the runner starts and stops it: what is durable before it begins, what a
// newer decision ends, and what nothing ends.

import t from 'tap'
import { limits } from '#shared/limits.ts'
import { AppWorld, desiredOf, runs } from '../../../support/app-world.ts'
import { fenceOf, one, two } from '../../../support/fleet-facts.ts'

const onOne = { release: one, fallback: one, activateAt: null }
const onTwo = { release: two, fallback: one, activateAt: null }
const stageTwo = (epoch: number) => desiredOf(epoch, { run: onOne, stage: two })
const toTwo = (epoch: number) => desiredOf(epoch, { kind: 'activate', run: onTwo })
const back = (epoch: number) => desiredOf(epoch, { kind: 'roll-back', run: onOne })
const elected = (epoch: number) =>
  desiredOf(epoch, { kind: 'prepare', run: onOne, stage: two, once: true })

async function hosting(world = AppWorld.running(one)) {
  let runner = await world.start()
  const settle = async () => {
    for (let turn = 0; turn < 4; turn += 1) {
      await new Promise(setImmediate)
      await runner.idle()
    }
  }
  let session = 1
  runner.openSession(session)
  await settle()
  t.teardown(() => runner.stop())
  return {
    world,
    settle,
    look: () => runner.look(),
    stop: () => runner.stop(),
    tell: async (desired: ReturnType<typeof desiredOf>) => {
      runner.receive(session, desired)
      await settle()
    },
    restart: async () => {
      runner.stop()
      runner = await world.start()
      session += 1
      runner.openSession(session)
      await settle()
    },
  }
}

async function readyForTwo() {
  const host = await hosting()
  await host.tell(stageTwo(1))
  host.world.news()
  return host
}

void t.test('around a swap: before it, the steps, the gate; each told its way', async (t) => {
  const { world, tell } = await hosting()
  await tell(stageTwo(1))
  t.ok(world.news().includes('preflight 2.0.0 with hook'))
  t.equal(world.lastReport?.phase, 'ready')
  await tell(toTwo(2))
  const own = world.news().filter((line) => /^(before|swap |steps|probe)/.test(line))
  t.same(own, ['before 2.0.0', 'swap 2.0.0', 'steps from 1.0.0 to 2.0.0', 'probe 2.0.0 whole'])
  await tell(back(3))
  const home = world.news().filter((line) => /^(before|swap |steps|probe)/.test(line))
  t.same(home, ['swap 1.0.0', 'steps back from 2.0.0 to 1.0.0', 'probe 1.0.0 whole'])
  t.match(world.lastReport, { phase: 'healthy', current: one })
})

void t.test('a swap that waited for its hook was not timed, and says so', async (t) => {
  const { world, tell, settle } = await readyForTwo()
  const gate = Promise.withResolvers<void>()
  world.gates.before = gate.promise
  const activateAt = world.clock.now() + 100
  await tell(desiredOf(2, { kind: 'activate', run: { ...onTwo, activateAt } }))
  world.clock.advance(100 + limits.clockErrorMaxMs + 1)
  await settle()
  t.ok(runs(world, one))
  gate.resolve()
  await settle()
  t.ok(world.news().includes('swapped on-receipt'))
  t.match(world.lastReport?.activation, { mode: 'on-receipt' })
})

void t.test('a roll back stops the gate, the steps and the hook, and waits for none', async (t) => {
  for (const work of ['before', 'steps', 'probe'] as const) {
    const { world, tell } = await readyForTwo()
    world.gates[work] = new Promise(() => undefined)
    await tell(toTwo(2))
    delete world.gates[work]
    await tell(back(3))
    t.ok(world.news().includes(`${work} stopped`), work)
    t.ok(runs(world, one), work)
    t.match(world.lastReport, { phase: 'healthy', failure: null }, work)
  }
})

void t.test('an unhealthy release is told at once, and hook on-failure is run once', async (t) => {
  const { world, tell, look, settle } = await readyForTwo()
  world.outcomes.probe = { kind: 'failed', failure: { code: 'unhealthy', message: '503' } }
  await tell(toTwo(2))
  t.match(world.lastReport, { phase: 'failed', failure: { code: 'unhealthy' }, current: two })
  await look()
  world.clock.advance(limits.retryMaxMs)
  await settle()
  const told = world.news().filter((line) => line.startsWith('failure'))
  t.same(told, ['failure 2.0.0 under 1.2 unhealthy'])
})

void t.test('the once run is durable before it is started', async (t) => {
  const { world, tell } = await readyForTwo()
  await tell(elected(2))
  const news = world.news()
  t.ok(news.indexOf('save 2') < news.indexOf('once 2.0.0 under 1.2'))
  t.match(world.lastReport, { phase: 'ready', once: { state: 'done', tree: two.tree } })
  t.match(world.journal.once, { state: 'done', fence: fenceOf(1, 2) })
  await tell(elected(2))
  t.notOk(world.news().some((line) => line.startsWith('once')))
})

void t.test('neither a higher fence nor the end of the agent stops it', async (t) => {
  const { world, tell, stop } = await readyForTwo()
  const gate = Promise.withResolvers<void>()
  world.gates.once = gate.promise
  await tell(elected(2))
  await tell(desiredOf(3, { kind: 'settle', run: onOne }))
  t.match(world.lastReport, { fence: fenceOf(1, 3), once: { state: 'running' } })
  gate.resolve()
  await tell(desiredOf(3, { kind: 'settle', run: onOne }))
  t.match(world.lastReport, { once: { state: 'done', fence: fenceOf(1, 2) } })
  stop()
  t.notOk(world.news().includes('once stopped'))
})

void t.test('after a crash nothing is started, and the end of what runs is awaited', async (t) => {
  const { world, tell, restart, settle } = await readyForTwo()
  world.gates.once = new Promise(() => undefined)
  await tell(elected(2))
  const gone = Promise.withResolvers<void>()
  world.onceGone = gone.promise
  world.news()
  await restart()
  await tell(elected(2))
  const news = world.news()
  t.ok(news.includes('once of 2 awaited'))
  t.notOk(news.some((line) => line.startsWith('once 2.0.0')))
  t.match(world.lastReport, { ready: null, once: { state: 'running' } })
  gone.resolve()
  await settle()
  t.match(world.lastReport, { once: { state: 'interrupted' }, phase: 'ready' })
  t.notOk(world.news().some((line) => line.startsWith('once 2.0.0')))
})

void t.test('the end of the agent stops hooks, steps and probes', async (t) => {
  for (const work of ['before', 'steps', 'probe'] as const) {
    const { world, tell, stop } = await readyForTwo()
    world.gates[work] = new Promise(() => undefined)
    await tell(toTwo(2))
    world.news()
    stop()
    t.same(world.news(), [`${work} stopped`])
  }
})

void t.test('between waves every look asks the gate again', async (t) => {
  const { world, tell, look, settle } = await readyForTwo()
  await tell(toTwo(2))
  world.news()
  for (let looks = 0; looks < 3; looks += 1) {
    await look()
    await settle()
  }
  t.same(world.news(), Array.from({ length: 3 }).fill('probe 2.0.0 confirm'))
  world.outcomes.probe = { kind: 'failed', failure: { code: 'unhealthy', message: '503' } }
  await look()
  await settle()
  t.equal(world.lastReport?.phase, 'failed')
})

void t.test('a hold that appears is seen with the next look, and reported', async (t) => {
  const { world, tell, look, settle } = await readyForTwo()
  world.hold = 'somebody works on it'
  await look()
  await settle()
  t.match(world.lastReport, { standing: 'held', ready: null, failure: { code: 'on-hold' } })
  await tell(toTwo(2))
  t.ok(runs(world, one))
  world.hold = null
  await look()
  await settle()
  t.ok(runs(world, two))
})

void t.test('a tree that keeps drifting is not staged without a pause', async (t) => {
  const world = AppWorld.running(one)
  world.random = 0.5
  const { tell, settle } = await hosting(world)
  world.staysDrifted = true
  world.drifted = [two.tree]
  await tell(stageTwo(1))
  t.equal(world.news().filter((line) => line === 'stage 2.0.0').length, 1)
  for (const waitMs of [500, 1000, 2000]) {
    world.clock.advance(waitMs - 1)
    await settle()
    t.notOk(world.news().includes('stage 2.0.0'), `not before ${waitMs} ms`)
    world.clock.advance(1)
    await settle()
    t.equal(world.news().filter((line) => line === 'stage 2.0.0').length, 1)
  }
  world.drifted = []
  world.clock.advance(limits.retryMaxMs)
  await settle()
  t.equal(world.lastReport?.phase, 'ready')
})
