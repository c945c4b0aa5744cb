// Whatever agents say that passes as a message, in whatever order, among whatever operators do: the
// controller stays up, and what it tells contradicts nothing.

import fc from 'fast-check'
import t from 'tap'
import type { EnvironmentRunner } from '#controller/runtime/environment-runner.ts'
import type { Fence } from '#shared/fence.ts'
import { desiredOf } from '#shared/environment/tell.ts'
import type { Report } from '#shared/report.ts'
import { EnvironmentWorld } from '../../../support/environment-world.ts'
import {
  asker,
  digestOf,
  fenceOf,
  one,
  reportOf,
  releaseOf,
  two,
} from '../../../support/fleet-facts.ts'
import { requestOf } from '../../../support/rollout-requests.ts'

const three = releaseOf('3.0.0', '3')
const release = fc.constantFrom(null, one, two, three)
const tree = fc.constantFrom(one.tree, two.tree, three.tree)
/** `newest` stands for the fence of the newest decision, which mere chance would never hit. */
const fence = fc.oneof(
  { weight: 60, arbitrary: fc.constant('newest' as const) },
  fc.constant(null),
  fc.record({
    term: fc.integer({ min: 1, max: 3 }),
    epoch: fc.integer({ min: 1, max: 5 }),
    hash: fc.constantFrom(digestOf('a'), digestOf('b')),
  }),
)

const report = fc.record({
  fence,
  phase: fc.constantFrom('idle', 'fetching', 'ready', 'active', 'healthy', 'failed'),
  failure: fc.option(fc.constant({ code: 'activate-failed' as const, message: 'no' }), { freq: 8 }),
  current: release,
  standing: fc.constantFrom('run', 'before', 'kept', 'held', 'elsewhere'),
  ready: fc.option(fc.record({ target: tree, fallback: fc.option(tree) })),
  activation: fc.option(
    fc.record({
      activatedAt: fc.constantFrom(0, 1e12, 1e308),
      errorMs: fc.constantFrom(0, 1e308),
      mode: fc.constantFrom('timed', 'on-receipt'),
    }),
  ),
  conflict: fc.option(fc.constant(fenceOf(1, 2, 'e')), { freq: 30 }),
  clock: fc.option(
    fc.constantFrom({ roundTripMs: 1e308, errorMs: 0 }, { roundTripMs: 1, errorMs: 0 }),
  ),
  serving: fc.boolean(),
})

const host = fc.constantFrom('a', 'b', 'c')
const happening = fc.oneof(
  {
    weight: 30,
    arbitrary: fc.record({ type: fc.constant('obey' as const), host, halfway: fc.boolean() }),
  },
  { weight: 8, arbitrary: fc.record({ type: fc.constant('report' as const), host, report }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('desire' as const),
      release: fc.constantFrom(one, two, three),
    }),
  },
  fc.record({
    type: fc.constantFrom('join' as const, 'remove' as const, 'reconnect' as const),
    host,
  }),
  fc.record({
    type: fc.constant('moment' as const),
    ms: fc.constantFrom(1, 15_000, 60_000, 900_000),
  }),
  fc.record({ type: fc.constant('recover' as const), run: release }),
  fc.constantFrom({ type: 'cancel' as const }, { type: 'restart' as const }),
)
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never

/** One world that is played to its end. */
class Play {
  readonly world = new EnvironmentWorld()
  readonly phases = new Set<string>()
  #runner: EnvironmentRunner
  readonly #sessions = new Map<string, number>()
  #numbers = 1
  #seq = 0
  #requests = 0

  private constructor(runner: EnvironmentRunner, world: EnvironmentWorld) {
    this.#runner = runner
    this.world = world
  }

  static async run(happenings: readonly Happening[]): Promise<ReadonlySet<string>> {
    const world = new EnvironmentWorld()
    const play = new Play(await world.start(), world)
    for (const name of ['a', 'b']) play.#runner.join(name, name)
    for (const what of happenings) {
      await play.#do(what)
      await play.#runner.idle()
      play.phases.add(play.#runner.state.record.rollout?.phase ?? 'none')
    }
    play.#runner.stop()
    return play.phases
  }

  async #do(what: Happening): Promise<void> {
    const runner = this.#runner
    switch (what.type) {
      case 'report':
        this.#seq += 1
        return runner.report(what.host, this.#sessionOf(what.host), this.#reportOf(what.report))
      case 'obey':
        this.#seq += 1
        return runner.report(what.host, this.#sessionOf(what.host), this.#obedient(what))
      case 'desire':
        this.#requests += 1
        return void (await runner.desire(requestOf(`r${this.#requests}`, what.release), asker))
      case 'join':
        return runner.join(what.host, what.host)
      case 'remove':
        return runner.remove(what.host)
      case 'reconnect':
        runner.closeSession(what.host, this.#sessionOf(what.host))
        this.#sessions.delete(what.host)
        return
      case 'moment':
        return this.world.clock.advance(what.ms)
      case 'recover':
        return void (await runner.recover(what.run, asker))
      case 'cancel':
        return void (await runner.cancel(null, asker))
      case 'restart':
        runner.stop()
        this.#runner = await this.world.start()
        this.#sessions.clear()
    }
  }

  /** What an agent would say that has done all it was told. */
  #obedient({ host: name, halfway }: Extract<Happening, { type: 'obey' }>): Report {
    const { record } = this.#runner.state
    const told = desiredOf(record, name)
    const bears = record.decision?.fence ?? null
    const said = { seq: this.#seq, fence: bears }
    if (told === null || told.hold) return reportOf({ ...said, standing: 'held' })
    const { release, fallback } = told.run
    const ready =
      told.stage === null ? null : { target: told.stage.tree, fallback: fallback?.tree ?? null }
    return reportOf({
      ...said,
      current: release,
      standing: release !== null ? 'run' : halfway ? 'kept' : 'before',
      ready,
      phase: ready !== null ? 'ready' : halfway ? 'active' : 'healthy',
    })
  }

  #sessionOf(name: string): number {
    const known = this.#sessions.get(name)
    if (known !== undefined) return known
    this.#numbers += 1
    this.#sessions.set(name, this.#numbers)
    return this.#numbers
  }

  #reportOf(said: Extract<Happening, { type: 'report' }>['report']): Report {
    const newest = this.#runner.state.record.decision?.fence ?? null
    const bears: Fence | null = said.fence === 'newest' ? newest : said.fence
    return reportOf({ ...said, seq: this.#seq, fence: bears })
  }
}

void t.test('no report, in whatever order, ends the controller', async (t) => {
  const unhandled: unknown[] = []
  const note = (reason: unknown) => unhandled.push(reason)
  process.on('unhandledRejection', note)
  t.teardown(() => process.off('unhandledRejection', note))
  const plays = fc.sample(fc.array(happening, { minLength: 5, maxLength: 60 }), {
    numRuns: 2500,
    seed: 20_261_123,
  })
  const phases = new Set<string>()
  for (const [at, happenings] of plays.entries()) {
    for (const phase of await Play.run(happenings)) phases.add(phase)
    if (unhandled.length > 0) {
      t.fail(`play ${at}: ${String(unhandled[0])}`, { happenings })
      break
    }
  }
  const reached = [...phases].toSorted().join(' ')
  const all = 'aborted activating committed failed none rolled-back rolling-back staging verifying'
  t.equal(reached, all, 'the plays came to every phase')
})
