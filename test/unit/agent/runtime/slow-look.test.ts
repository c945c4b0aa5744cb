// A look at the link that takes long must not bring back what was there before a swap.

import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { AppRunner } from '#agent/runtime/app-runner.ts'
import { type Current, emptyJournal } from '#shared/activation/state.ts'
import type { Desired } from '#shared/desired.ts'
import type { Release } from '#shared/release.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { trivialSteps } from '../../../support/host-steps.ts'

const one: Release = { version: '1', tree: '1'.repeat(64) }
const two: Release = { version: '2', tree: '2'.repeat(64) }

function told(epoch: number, kind: Desired['kind'], release: Release): Desired {
  const fence = { term: 1, epoch, hash: 'f'.repeat(64) }
  const run = { release, fallback: one, activateAt: null }
  return { fence, kind, hold: false, drain: false, run, stage: null, once: false, history: [] }
}

function linkTo({ version }: Release): Current {
  return { kind: 'release', version, link: `versions/${version}` }
}

void t.test('a look from before a swap that ends after it is taken again', async (t) => {
  const world = { current: one }
  /** The next look reads at once and answers only when this is resolved. */
  let slow: PromiseWithResolvers<void> | null = null
  const observeCurrent = async (): Promise<Current> => {
    const read = linkTo(world.current)
    const waits = slow
    slow = null
    await waits?.promise
    return read
  }
  const settled = told(1, 'settle', one)
  const runner = await AppRunner.start(
    {
      journal: { save: async () => undefined },
      disk: {
        observeCurrent,
        held: () => [one, two],
        observeHold: async () => null,
        stage: async () => ({ kind: 'staged' }),
        commit: async () => true,
        swap: () => {
          world.current = two
          return { kind: 'swapped', at: 0 }
        },
        attest: async (releases) => releases.map(({ version }) => ({ version, result: 'whole' })),
        cleanUp: async () => undefined,
        setServing: async () => undefined,
      },
      ...trivialSteps,
      clock: new FakeClock(0),
      controllerClock: { toController: () => null, toLocal: () => null },
      random: () => 0,
      report: () => undefined,
      onConflict: () => undefined,
      onUnsaved: () => undefined,
      onSwapped: () => undefined,
    },
    {
      journal: { ...emptyJournal, fence: settled.fence, told: settled },
      disk: { current: linkTo(one), held: [one, two], hold: null },
      serving: true,
    },
  )
  t.teardown(() => runner.stop())
  runner.openSession(1)
  const answer = Promise.withResolvers<void>()
  slow = answer
  const look = runner.look()
  runner.receive(1, told(2, 'activate', two))
  await setImmediate()
  await runner.idle()
  t.equal(world.current, two, 'it has swapped meanwhile')
  answer.resolve()
  await look
  await runner.idle()
  t.same(runner.state.disk.current, linkTo(two))
})
