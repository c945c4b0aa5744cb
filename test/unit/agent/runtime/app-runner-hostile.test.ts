// Whatever a controller says that passes as a message, and whatever the disk does meanwhile: the agent
// stays up, and where it is told to act at all it acts as its invariants say.

import fc from 'fast-check'
import t from 'tap'
import type { StepOutcome } from '#shared/activation/events.ts'
import type { Desired } from '#shared/desired.ts'
import { LockstepError } from '#shared/errors.ts'
import { mistakeOf } from '#shared/wire/desired-rules.ts'
import { AppWorld, type OwnWork } from '../../../support/app-world.ts'
import { digestOf, one, releaseOf, two } from '../../../support/fleet-facts.ts'

const three = releaseOf('3.0.0', '3')
const release = fc.constantFrom(null, one, two, three, releaseOf('1.0.0', '4'))

const desired: fc.Arbitrary<Desired> = fc
  .record({
    fence: fc.record({
      term: fc.integer({ min: 1, max: 2 }),
      epoch: fc.integer({ min: 1, max: 6 }),
      hash: fc.constantFrom(digestOf('a'), digestOf('b')),
    }),
    kind: fc.constantFrom('stage', 'prepare', 'activate', 'roll-back', 'settle'),
    hold: fc.boolean(),
    run: fc.record({
      release,
      fallback: release,
      activateAt: fc.constantFrom(null, 1, 10_050, 20_000),
    }),
    stage: release,
    once: fc.boolean(),
    drain: fc.boolean(),
    history: fc.array(fc.constantFrom(one, two, three), { maxLength: 3 }),
  })
  .filter((any) => mistakeOf(any) === null)

const happening = fc.oneof(
  { weight: 3, arbitrary: desired.map((told) => ({ type: 'told' as const, told })) },
  fc.constantFrom(
    { type: 'moment' as const, ms: 50 },
    { type: 'moment' as const, ms: 5000 },
    { type: 'look' as const },
    { type: 'reconnect' as const },
    { type: 'restart' as const },
    { type: 'swap-failure' as const },
    { type: 'drift' as const },
    { type: 'foreign-link' as const },
    { type: 'directory' as const },
    { type: 'hold' as const },
  ),
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('own-work' as const),
      work: fc.constantFrom<OwnWork>('preflight', 'before', 'steps', 'probe', 'once'),
      goes: fc.constantFrom('well' as const, 'badly' as const, 'nowhere' as const),
    }),
  },
)
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never

const refusal: StepOutcome = {
  kind: 'failed',
  failure: { code: 'hook-failed', message: 'it ended with exit code 1' },
}

/** From now on it is done, fails, or never ends unless it is stopped. */
function direct(world: AppWorld, work: OwnWork, goes: 'well' | 'badly' | 'nowhere'): void {
  if (goes === 'badly') world.outcomes[work] = refusal
  else delete world.outcomes[work]
  if (goes === 'nowhere') world.gates[work] = new Promise(() => undefined)
  else delete world.gates[work]
}

/** Plays everything to its end. @throws what the runner threw where nobody waits for it */
async function play(happenings: readonly Happening[]): Promise<readonly string[]> {
  const world = AppWorld.running(one, two)
  let runner = await world.start()
  let session = 1
  runner.openSession(session)
  for (const what of happenings) {
    if (what.type === 'told') runner.receive(session, what.told)
    else if (what.type === 'moment') world.clock.advance(what.ms)
    else if (what.type === 'look') await runner.look()
    else if (what.type === 'drift') world.drifted = [two.tree]
    else if (what.type === 'foreign-link') world.current = { kind: 'foreign', link: '/elsewhere' }
    else if (what.type === 'directory') world.current = { kind: 'directory' }
    else if (what.type === 'hold') world.hold = world.hold === null ? 'as the test has it' : null
    else if (what.type === 'own-work') direct(world, what.work, what.goes)
    else if (what.type === 'swap-failure') {
      world.swapFailure =
        world.swapFailure === null ? new LockstepError('activate-failed', 'refused') : null
    } else {
      if (what.type === 'restart') {
        runner.stop()
        runner = await world.start()
      } else runner.closeSession(session)
      session += 1
      runner.openSession(session)
    }
    await new Promise(setImmediate)
    await runner.idle()
  }
  runner.stop()
  return world.log
}

/** What was started more than once though it is started once for its decision, if anything. */
function repeated(log: readonly string[]): string | undefined {
  const once = log.filter((line) => line.startsWith('once ') && line.includes(' under '))
  return once.find((line, at) => once.indexOf(line) !== at)
}

function count(log: readonly string[], what: RegExp): number {
  return log.filter((line) => what.test(line)).length
}

void t.test('no sound message, in whatever order, ends the agent', async (t) => {
  const unhandled: unknown[] = []
  const note = (reason: unknown) => unhandled.push(reason)
  process.on('unhandledRejection', note)
  t.teardown(() => process.off('unhandledRejection', note))
  const plays = fc.sample(fc.array(happening, { minLength: 1, maxLength: 15 }), {
    numRuns: 800,
    seed: 20_261_123,
  })
  const counts = { swaps: 0, gates: 0, once: 0, stopped: 0 }
  for (const [at, happenings] of plays.entries()) {
    const log = await play(happenings)
    const wrong = unhandled.map(String)[0] ?? repeated(log)
    if (wrong !== undefined) {
      t.fail(`play ${at}: ${wrong}`, { happenings })
      break
    }
    counts.swaps += count(log, /^swap /)
    counts.gates += count(log, /^probe \d/)
    counts.once += count(log, /^once .* under /)
    counts.stopped += count(log, / stopped$/)
  }
  t.comment(`${JSON.stringify(counts)} in ${plays.length} plays`)
  for (const [what, times] of Object.entries(counts)) t.ok(times > 20, `${what}: acted on often`)
})
