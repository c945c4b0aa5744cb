// What the runner says of the releases that its host is told: which of them the environment runs for
// good, so that the floor of signed releases rises then and no sooner.

import t from 'tap'
import { AppWorld, desiredOf } from '../../../support/app-world.ts'
import { one, two } from '../../../support/fleet-facts.ts'

const stay = { release: one, fallback: one, activateAt: null }
const stageTwo = (epoch: number) => desiredOf(epoch, { run: stay, stage: two })
const activateTwo = (epoch: number) =>
  desiredOf(epoch, {
    kind: 'activate',
    run: { release: two, fallback: one, activateAt: null },
    stage: null,
  })
const settled = (epoch: number) =>
  desiredOf(epoch, {
    kind: 'settle',
    run: { release: two, fallback: two, activateAt: null },
    stage: null,
  })

async function openHost(world: AppWorld) {
  const runner = await world.start()
  t.teardown(() => runner.stop())
  runner.openSession(1)
  const tell = async (desired: ReturnType<typeof desiredOf>) => {
    runner.receive(1, desired)
    await runner.idle()
    await new Promise(setImmediate)
    await runner.idle()
  }
  return { runner, tell }
}

const versionsOf = (world: AppWorld) => world.committed.map(({ version }) => version)

void t.test('a release is committed when the environment is settled on it', async (t) => {
  const world = AppWorld.running(one)
  const { tell } = await openHost(world)
  await tell(stageTwo(1))
  t.same(versionsOf(world), ['1.0.0'], 'what it runs meanwhile')
  await tell(activateTwo(2))
  t.same(versionsOf(world), ['1.0.0'], 'it runs, and is on trial')
  await tell(settled(3))
  t.same(versionsOf(world), ['1.0.0', '2.0.0'])
  await tell(settled(3))
  t.equal(world.committed.length, 2, 'once')
})

void t.test('a commit that could not be written down is said again', async (t) => {
  const world = AppWorld.running(one)
  world.commitsDurably = false
  const { runner, tell } = await openHost(world)
  await tell(stageTwo(1))
  world.commitsDurably = true
  const before = world.committed.length
  await runner.look()
  await runner.idle()
  t.equal(world.committed.length, before + 1)
  await runner.look()
  await runner.idle()
  t.equal(world.committed.length, before + 1)
})

void t.test('a stage knows whether a rollout asks for it', async (t) => {
  const world = new AppWorld()
  const { tell } = await openHost(world)
  await tell(stageTwo(1))
  t.same(world.stagedAs, ['settled', 'new'], 'first what the environment runs')
  const late = new AppWorld()
  const host = await openHost(late)
  await host.tell(activateTwo(2))
  t.same(late.stagedAs, ['new'], 'an activation proves nothing of what it names')
})
