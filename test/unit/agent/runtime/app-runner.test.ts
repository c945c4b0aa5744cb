// The instant of a swap as the runner tells it: in the controller's clock, or not at all.

import t from 'tap'
import { AppRunner } from '#agent/runtime/app-runner.ts'
import type { AppPorts } from '#agent/runtime/ports.ts'
import type { Observed } from '#shared/activation/observe.ts'
import { type Current, emptyJournal, type Journal } from '#shared/activation/state.ts'
import type { Activation } from '#shared/report.ts'
import type { Release } from '#shared/release.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { trivialSteps } from '../../../support/host-steps.ts'

const one: Release = { version: '1', tree: '1'.repeat(64) }
const two: Release = { version: '2', tree: '2'.repeat(64) }
const fence = { term: 1, epoch: 5, hash: 'f'.repeat(64) }

/** As a kill between the decision and the rename leaves it. */
const decided: Journal = {
  ...emptyJournal,
  fence,
  told: {
    fence,
    kind: 'activate',
    hold: false,
    run: { release: two, fallback: one, activateAt: 50 },
    stage: null,
    once: false,
    drain: false,
    history: [two, one],
  },
  reloadDue: true,
}

/** An agent just restarted; `offsetMs` is the controller's clock minus its own, null at first. */
async function restarted() {
  const clock = new FakeClock(1500)
  const reports: Observed[] = []
  const swaps: { mode: Activation['mode']; activatedAt: number | null; was: string | null }[] = []
  const world = { offsetMs: null as number | null, current: one }
  const place = (at: number, sign: 1 | -1) =>
    world.offsetMs === null ? null : { at: at + sign * world.offsetMs, errorMs: 2 }
  const observeCurrent = async (): Promise<Current> => {
    const { version } = world.current
    return { kind: 'release', version, link: `versions/${version}` }
  }
  const ports: AppPorts = {
    journal: { save: async () => undefined },
    disk: {
      observeCurrent,
      held: () => [one, two],
      observeHold: async () => null,
      stage: async () => ({ kind: 'staged' }),
      commit: async () => true,
      swap: () => {
        world.current = two
        return { kind: 'swapped', at: clock.now() }
      },
      attest: async (releases) =>
        releases.map(({ version }) => ({ version, result: 'whole' as const })),
      cleanUp: async () => undefined,
      setServing: async () => undefined,
    },
    ...trivialSteps,
    clock,
    controllerClock: { toController: (at) => place(at, 1), toLocal: (at) => place(at, -1) },
    random: () => 0,
    report: (observed) => reports.push(observed),
    onConflict: () => undefined,
    onUnsaved: () => undefined,
    onSwapped: (swap) => swaps.push(swap),
  }
  const runner = await AppRunner.start(ports, {
    journal: decided,
    disk: { current: await observeCurrent(), held: [one, two], hold: null },
    serving: true,
  })
  t.teardown(() => runner.stop())
  return { runner, world, reports, swaps }
}

void t.test(
  'a swap before the first answer about the clock is told as soon as it can be',
  async (t) => {
    const { runner, world, reports, swaps } = await restarted()
    runner.openSession(1)
    await runner.idle()
    // The gate's end comes back as an event of its own.
    await new Promise(setImmediate)
    await runner.idle()
    t.equal(world.current, two, 'it has swapped')
    t.match(swaps, [{ mode: 'on-receipt', activatedAt: null, was: 'versions/1' }])
    t.equal(reports.at(-1)?.phase, 'healthy')
    t.equal(reports.at(-1)?.activation, null, 'an instant of its own clock means nothing to others')
    world.offsetMs = 1_000_000
    await runner.look()
    await runner.idle()
    t.same(reports.at(-1)?.activation, { activatedAt: 1_001_500, errorMs: 2, mode: 'on-receipt' })
  },
)
