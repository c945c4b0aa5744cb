// One random schedule: a fleet, an operator and an evil hour, all drawn from one seed; then
// everything is mended and everything has to come right.

import type { Fact } from '#shared/environment/events.ts'
import { sameRelease } from '#shared/release.ts'
import { Random } from './kernel/random.ts'
import { faultsOf } from './weather.ts'
import { Configurations, deployOf } from './wishes.ts'
import type { AgentHost } from './world/agent-host.ts'
import type { DeployOptions } from './world/operator.ts'
import type { OnceMoment } from './world/virtual-steps.ts'
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
  readonly #configurations: Configurations
  readonly #versions = ['v1', 'v2', 'v3', 'v1-again']
  #backup: ReturnType<World['store']['backup']> | null = null
  #hostsMade = 0
  #lastDeploy: readonly [string, DeployOptions] | null = null

  constructor(world: World, random: Random) {
    this.world = world
    this.random = random
    this.#configurations = new Configurations(random)
  }

  async run(): Promise<void> {
    const { world, random } = this
    const hosts = random.integer(2, 5)
    for (let i = 0; i < hosts; i += 1) this.addHost()
    await world.run(random.between([1500, 4000]))
    this.#recoverWhenFenced()
    if (random.chance(0.6)) {
      world.operator.deploy('v1')
      await world.run(random.between([4000, 12_000]))
    }
    world.faults = faultsOf(random)
    const traps = random.pick([0, 0.2, 0.5])
    const ambush = random.pick([0, 0.3, 0.6])
    world.onRecorded = (fact) => this.#react(fact, traps, ambush)
    world.onOnce = (host, what) => {
      if (random.chance(ambush)) this.#strikeRun(host, random.between([0, whileIt(what)]))
    }
    const acts = random.integer(3, 10)
    for (let i = 0; i < acts; i += 1) {
      pickAct(random, i === 0 ? requests : everything)(this)
      await world.run(random.between([10, random.pick([500, 5000, 20_000])]))
    }
    // Some that are away stay away past every deadline.
    if (random.chance(0.35)) await world.run(random.between([10_000, 180_000]))
    world.onRecorded = () => undefined
    world.onOnce = () => undefined
    world.heal()
    this.#leadOn(!random.chance(0.02))
    await world.settle()
  }

  /** The worst moments of everything that is recorded. */
  #react(fact: Fact, traps: number, ambush: number): void {
    const { world, random } = this
    const { type } = fact
    if (type === 'barrier-opened' || type === 'roll-back-started') this.#strike(ambush)
    if (type === 'rollout-started') {
      if (random.chance(ambush)) {
        world.time.after(random.between([1000, 30_000]), () => this.loseOneThatStaged())
      }
      const isNew = !sameRelease(world.store.record.committed, fact.rollout.target)
      if (isNew && random.chance(0.1)) this.anyHost().steps.spoil(fact.rollout.target.version)
    }
    if (type === 'once-told' && random.chance(ambush)) {
      const host = world.hosts.find(({ id }) => id === fact.run.host)
      if (host !== undefined) this.#strikeRun(host, random.between([0, random.pick([5, 500])]))
    }
    if (type === 'wave-rested') this.#decideOnWave()
    if (type === 'barrier-opened' && random.chance(ambush / 2)) {
      world.time.after(random.between([0, random.pick([100, 1000])]), () => {
        world.operator.cancel()
      })
    }
    if (!random.chance(traps)) return
    const act = pickAct(random, mishaps)
    world.time.after(random.between([0, random.pick([5, 100, 2000])]), () => act(this))
  }

  /** What somebody makes of a wave that is through: more of it, a closer look, or an end. */
  #decideOnWave(): void {
    const { world, random } = this
    const { operator } = world
    const act = pickAct(random, [
      [5, () => operator.goOn()],
      [2, () => operator.pause()],
      [1.5, () => operator.cancel()],
      [3, () => undefined],
    ])
    world.time.after(random.between([0, random.pick([100, 8000])]), () => act(this))
  }

  /** Nothing waits for people for ever: they let it go on, or end it. */
  #leadOn(isAttended: boolean): void {
    const { world, random } = this
    if (!isAttended) return
    world.time.after(random.between([1000, 10_000]), () => {
      this.#leadOn(true)
      if (world.operator.openRollout?.between?.step !== 'pause') return
      if (random.chance(0.7)) world.operator.goOn()
      else world.operator.cancel()
    })
  }

  /** Who makes the once run dies, or who waits for it. */
  #strikeRun(host: AgentHost, afterMs: number): void {
    const { world, random } = this
    world.time.after(afterMs, () => {
      if (random.chance(0.5)) host.crash(...crashOf(random))
      else world.controller.crash(random.between([0, random.pick([500, 20_000])]))
    })
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

  /** One that has staged goes away while the others still do. */
  loseOneThatStaged(): void {
    const target = this.world.operator.openRollout?.target
    const staged = this.world.hosts.filter(({ disk }) => target !== undefined && disk.holds(target))
    if (staged.length > 0)
      this.cutOff(this.random.pick(staged), this.random.between([16_000, 60_000]))
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

  /** The worst moments: hosts are lost just as they are told to go, or to go back. */
  #strike(probability: number): void {
    const { world, random } = this
    for (const host of world.hosts) {
      if (!random.chance(probability)) continue
      const forMs = random.between([0, random.pick([1000, 40_000, 150_000])])
      world.time.after(random.between([0, random.pick([2, 20, 120])]), () => {
        if (random.chance(0.5)) {
          host.crash(
            forMs,
            random.chance(0.5) ? 'nobody hears of it' : 'the controller hears of it',
          )
        } else this.cutOff(host, forMs)
      })
    }
  }

  cutOff(host: AgentHost, forMs: number): void {
    const { network, time } = this.world
    network.cutOff(host.id)
    time.after(forMs, () => network.heal(host.id))
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
  [4, (s) => s.cutOff(s.anyHost(), s.random.between([500, s.random.pick([5000, 60_000])]))],
  [2, (s) => s.world.network.disconnect(s.anyHost().id)],
  [1.5, (s) => s.loseOneThatStaged()],
]

const everything: readonly (readonly [weight: number, act: Act])[] = [
  ...requests,
  ...mishaps,
  [2, (s) => void s.world.operator.cancel()],
  [1, (s) => s.repeat()],
  [1.5, (s) => s.meddle()],
  [1.5, (s) => s.changeMembers()],
  [1, (s) => s.drainOrLetIn()],
  [0.7, (s) => void s.world.operator.goOn()],
  [0.5, (s) => void s.world.operator.pause()],
  [0.4, (s) => s.world.setClock(s.random.between([-3_600_000, 3_600_000]))],
  [1.2, (s) => s.backUpOrRestore()],
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

function crashOf(random: Random) {
  const downMs = random.between([0, random.pick([200, 5000, 45_000])])
  return [downMs, random.chance(0.3) ? 'nobody hears of it' : 'the controller hears of it'] as const
}

/** How long the next worst moment lasts from here on, milliseconds. */
function whileIt(what: OnceMoment): number {
  return what === 'started' ? 2500 : 8
}
