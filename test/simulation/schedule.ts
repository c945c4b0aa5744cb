// One random schedule: a fleet, an operator and an evil hour, all drawn from one seed; then
// everything is mended and everything has to come right.

import { Ambush, crashOf } from './ambush.ts'
import { Random } from './kernel/random.ts'
import { faultsOf } from './weather.ts'
import { Configurations, deployOf } from './wishes.ts'
import type { AgentHost } from './world/agent-host.ts'
import type { DeployOptions } from './world/operator.ts'
import { World } from './world/world.ts'

export interface ScheduleResult {
  readonly seed: number
  /** Of the trace: the same for the same seed. */
  readonly hash: string
  readonly counts: Readonly<Record<string, number>>
  /** What was broken; null when all held. */
  readonly failure: string | null
  readonly virtualMs: number
}

export interface ScheduleOptions {
  print?: ((line: string) => void) | null
  /** Called with the world before anything happens in it. */
  onWorld?: (world: World) => void
}

export async function runSchedule(
  seed: number,
  { print = null, onWorld = () => undefined }: ScheduleOptions = {},
): Promise<ScheduleResult> {
  const random = new Random(seed)
  const world = new World({ seed: random.integer(0, 2 ** 30), keep: random.pick([1, 2, 5]), print })
  onWorld(world)
  let failure: string | null = null
  try {
    await new Schedule(world, random).run()
  } catch (error) {
    failure = error instanceof Error ? (error.stack ?? error.message) : String(error)
  }
  const { hash } = world.trace
  return { seed, hash, counts: world.counts.all, failure, virtualMs: world.time.now }
}

type Act = (schedule: Schedule) => void

class Schedule {
  readonly world: World
  readonly random: Random
  readonly ambush: Ambush
  readonly #configurations: Configurations
  readonly #versions = ['v1', 'v2', 'v3', 'v1-again']
  #backup: ReturnType<World['store']['backup']> | null = null
  #hostsMade = 0
  #lastDeploy: readonly [string, DeployOptions] | null = null

  constructor(world: World, random: Random) {
    this.world = world
    this.random = random
    this.#configurations = new Configurations(random)
    this.ambush = new Ambush(world, random, () => pickAct(random, mishaps)(this))
  }

  async run(): Promise<void> {
    const { world, random } = this
    if (random.chance(0.02)) {
      // Nobody is there yet: whoever joins comes to it.
      world.operator.deploy('v1', { allowEmpty: true })
      await world.run(500)
    }
    const hosts = random.integer(2, 5)
    for (let i = 0; i < hosts; i += 1) this.addHost()
    await world.run(random.between([1500, 4000]))
    this.#recoverWhenFenced()
    if (random.chance(0.6)) {
      world.operator.deploy('v1')
      await world.run(random.between([4000, 12_000]))
    }
    world.faults = faultsOf(random)
    this.ambush.lay()
    const acts = random.integer(3, 10)
    for (let i = 0; i < acts; i += 1) {
      pickAct(random, i === 0 ? requests : everything)(this)
      await world.run(random.between([10, random.pick([500, 5000, 20_000])]))
    }
    if (this.ambush.isStarved) {
      await world.until(() => world.operator.openRollout === null, 7 * 60_000)
    }
    // Some that are away stay away past every deadline.
    if (random.chance(0.35)) await world.run(random.between([10_000, 180_000]))
    this.ambush.lift()
    world.heal()
    for (const host of Object.keys(world.store.record.drained)) {
      if (random.chance(0.5)) world.operator.drain(host, null)
    }
    await world.settle()
  }

  addHost(): void {
    this.#hostsMade += 1
    const name = `h${this.#hostsMade}`
    const declares = this.#configurations.next()
    this.world.addHost(name, this.random.chance(0.6) ? 'old/site' : null, declares)
    this.world.join(name)
  }

  anyHost(): AgentHost {
    return this.random.pick(this.world.hosts)
  }

  anyVersion(): string {
    return this.random.pick(this.#versions)
  }

  deploy(): void {
    const { random, world } = this
    const version = this.anyVersion()
    const hosts = world.hosts.map((host) => host.id)
    const options = deployOf(random, version, hosts, world.store.record)
    this.#lastDeploy = [version, options]
    world.operator.deploy(version, options)
  }

  repeat(): void {
    if (this.#lastDeploy?.[1].keyed === true) this.world.operator.repeat(...this.#lastDeploy)
  }

  backUpOrRestore(): void {
    if (this.#backup === null) this.#backup = this.world.store.backup()
    else this.world.restore(this.#backup)
  }

  /** Somebody meddles with a host. Before it has left it, its own link is its only before. */
  meddle(): void {
    const { world, random } = this
    const host = this.anyHost()
    const hasLeft = host.disk.journal.before !== null && host.disk.runs !== null
    if (hasLeft) return world.drift(host.name, 'old/other')
    if (world.store.record.committed === null) return
    const obstacle = random.pick(['directory', 'unreadable'] as const)
    if (random.chance(0.3)) return world.tamper(host.name)
    if (random.chance(0.3)) {
      return world.obstruct(host.name, obstacle, random.between([1000, 30_000]))
    }
    const links = host.disk.disk.held.map((release) => `versions/${release.version}`)
    world.drift(host.name, random.pick(['old/other', 'versions/gone', ...links]))
  }

  /** A host is taken out between rollouts, or let in again. */
  drainOrLetIn(): void {
    const { world, random } = this
    const { id } = this.anyHost()
    const { drained } = world.store.record
    const out = Object.keys(drained)
    if (out.length > 0 && random.chance(0.6)) world.operator.drain(random.pick(out), null)
    else if (out.length + 1 < world.hosts.length) world.operator.drain(id, 'a new disk')
  }

  changeMembers(): void {
    const { world, random } = this
    const members = Object.keys(world.store.record.members)
    const host = this.anyHost()
    if (!members.includes(host.id)) return world.join(host.name)
    if (random.chance(0.5) && world.hosts.length < 6) return this.addHost()
    if (members.length > 1) world.remove(host.name)
  }

  /** Somebody looks after a fenced environment, sooner or later. */
  #recoverWhenFenced(): void {
    const { world, random } = this
    world.time.after(random.between([1000, 20_000]), () => {
      this.#recoverWhenFenced()
      if (!world.isFenced) return
      const { committed } = world.store.record
      const running = world.hosts.flatMap(({ disk }) => disk.runs?.version ?? [])
      const run = random.pick([committed?.version ?? null, ...running])
      world.operator.recover(run)
    })
  }
}

/** What the operator does. */
const requests: readonly (readonly [weight: number, act: Act])[] = [
  [6, (schedule) => schedule.deploy()],
]

/** What happens to machines and lines. */
const mishaps: readonly (readonly [weight: number, act: Act])[] = [
  [4, (s) => s.anyHost().crash(...crashOf(s.random))],
  [3, (s) => s.world.controller.crash(s.random.between([0, s.random.pick([500, 20_000])]))],
  [
    4,
    (s) =>
      s.world.network.cutOffFor(
        s.anyHost().id,
        s.random.between([500, s.random.pick([5000, 60_000])]),
      ),
  ],
  [2, (s) => s.world.network.disconnect(s.anyHost().id)],
  [1.5, (s) => s.ambush.loseOneThatStaged()],
]

const everything: readonly (readonly [weight: number, act: Act])[] = [
  ...requests,
  ...mishaps,
  [2, (s) => void s.world.operator.cancel()],
  [1, (s) => s.repeat()],
  [1.5, (s) => s.meddle()],
  [1.5, (s) => s.changeMembers()],
  [1.5, (s) => s.drainOrLetIn()],
  [0.7, (s) => void s.world.operator.goOn()],
  [0.5, (s) => void s.world.operator.pause()],
  [0.4, (s) => s.world.setClock(s.random.between([-3_600_000, 3_600_000]))],
  [2, (s) => s.backUpOrRestore()],
]

function pickAct(random: Random, acts: readonly (readonly [number, Act])[]): Act {
  const total = acts.reduce((sum, [weight]) => sum + weight, 0)
  let left = random.next() * total
  for (const [weight, act] of acts) {
    left -= weight
    if (left < 0) return act
  }
  throw new Error('no act was picked')
}
