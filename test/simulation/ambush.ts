// The worst moments: machines die, lines are cut and people change their minds just as something is
// decided, told, run or waited for.

import type { Fact } from '#shared/environment/events.ts'
import type { Rollout } from '#shared/environment/rollout.ts'
import { sameRelease } from '#shared/release.ts'
import type { Random } from './kernel/random.ts'
import type { AgentHost } from './world/agent-host.ts'
import type { World } from './world/world.ts'

export class Ambush {
  readonly #world: World
  readonly #random: Random
  /** How likely a worst moment is used, and anything at all happens after a fact. */
  readonly #probability: number
  readonly #traps: number
  readonly #mishap: () => void
  #isStarved = false
  #isUnattended = false

  constructor(world: World, random: Random, mishap: () => void) {
    this.#world = world
    this.#random = random
    this.#mishap = mishap
    this.#traps = random.pick([0, 0.2, 0.5])
    this.#probability = random.pick([0, 0.3, 0.6])
  }

  /** Whether a wave waits for hosts that do not come, until its deadline. */
  get isStarved(): boolean {
    return this.#isStarved
  }

  lay(): void {
    this.#world.onRecorded = (fact) => this.#react(fact)
    this.#world.onOnce = (host, what) => {
      if (!this.#random.chance(this.#probability)) return
      this.#strikeRun(host, this.#random.between([0, what === 'started' ? 2500 : 8]))
    }
  }

  lift(): void {
    this.#world.onRecorded = () => undefined
    this.#world.onOnce = () => undefined
    if (!this.#isUnattended) this.#leadOn()
  }

  /** One that has staged goes away while the others still do. */
  loseOneThatStaged(): void {
    const world = this.#world
    const target = world.operator.openRollout?.target
    const staged = world.hosts.filter(({ disk }) => target !== undefined && disk.holds(target))
    if (staged.length === 0) return
    this.#cutOff(this.#random.pick(staged), this.#random.between([16_000, 60_000]))
  }

  #react(fact: Fact): void {
    const random = this.#random
    const often = this.#probability
    if (fact.type === 'rollout-started') this.#reactToStart(fact.rollout)
    if (fact.type === 'once-told' && random.chance(often)) {
      const host = this.#world.hosts.find(({ id }) => id === fact.run.host)
      if (host !== undefined) this.#strikeRun(host, random.between([0, random.pick([5, 500])]))
    }
    if (fact.type === 'barrier-opened') {
      this.#strike()
      if (random.chance(often / 5)) this.#missIt()
      if (random.chance(often / 2)) {
        this.#later(random.pick([100, 1000]), () => void this.#world.operator.cancel())
      }
    }
    if (fact.type === 'verifying-started' && random.chance(often)) {
      // Those that pass their gate at once are through by then.
      const gated = this.#world.hosts.filter(({ steps }) => steps.declares.gateMs > 500)
      if (gated.length > 0) this.#cutOff(random.pick(gated), random.between([30_000, 90_000]))
    }
    if (fact.type === 'roll-back-started') this.#strike()
    if (fact.type === 'wave-rested') this.#reactToRest(fact.rollout)
    if (random.chance(this.#traps)) this.#later(random.pick([5, 100, 2000]), this.#mishap)
  }

  #reactToStart({ target }: Rollout): void {
    const random = this.#random
    if (random.chance(this.#probability)) {
      this.#world.time.after(random.between([1000, 30_000]), () => this.loseOneThatStaged())
    }
    if (random.chance(0.008)) this.#later(1000, () => this.#removeAll())
    const isNew = !sameRelease(this.#world.store.record.committed, target)
    if (isNew && random.chance(0.1)) this.#anyHost().steps.spoil(target.version)
  }

  /** What somebody makes of a wave that is through: more of it, a closer look, or an end. */
  #reactToRest(rollout: Rollout): void {
    const random = this.#random
    const { operator } = this.#world
    const what = random.next()
    if (what < 0.25) return this.#starve(rollout)
    if (what < 0.36) {
      this.#isUnattended = true
      return this.#later(100, () => void operator.pause())
    }
    if (random.chance(0.2)) this.#cutOff(this.#anyHost(), random.between([10_000, 60_000]))
    const soonMs = random.pick([100, 8000])
    if (what < 0.66) this.#later(soonMs, () => void operator.goOn())
    else if (what < 0.76) this.#later(soonMs, () => void operator.pause())
    else if (what < 0.86) this.#later(soonMs, () => void operator.cancel())
  }

  /** The hosts of the coming waves are away for longer than a lease, and somebody lets it go on. */
  #starve({ participants }: Rollout): void {
    this.#isStarved = true
    for (const host of this.#world.hosts) {
      if (participants[host.id]?.counted === false) this.#cutOff(host, 8 * 60_000)
    }
    this.#world.operator.pause()
    this.#world.time.after(20_000, () => void this.#world.operator.goOn())
  }

  /** Hosts are lost just as they are told to go, or to go back. */
  #strike(): void {
    const random = this.#random
    for (const host of this.#world.hosts) {
      if (!random.chance(this.#probability)) continue
      const forMs = random.between([0, random.pick([1000, 40_000, 150_000])])
      this.#later(random.pick([2, 20, 120]), () => {
        const how = random.pick(['cut off', 'cut off', 'with its host', 'alone'] as const)
        if (how === 'cut off') this.#cutOff(host, forMs)
        else if (how === 'alone') host.crash(forMs)
        else host.crash(forMs, 'nobody hears of it')
      })
    }
  }

  /** The controller is away past the deadline of what it has just decided, or a host leaves. */
  #missIt(): void {
    const world = this.#world
    const awayMs = this.#random.between([35_000, 60_000])
    const act = this.#random.pick([
      () => world.controller.crash(awayMs),
      () => {
        if (Object.keys(world.store.record.members).length > 1) world.remove(this.#anyHost().name)
      },
    ])
    this.#later(100, act)
  }

  /** Everybody leaves; they come back some time later. */
  #removeAll(): void {
    const world = this.#world
    for (const { name } of world.hosts) {
      world.remove(name)
      world.time.after(this.#random.between([15_000, 30_000]), () => world.join(name))
    }
  }

  /** Who makes the once run dies, or who waits for it. */
  #strikeRun(host: AgentHost, afterMs: number): void {
    const random = this.#random
    this.#world.time.after(afterMs, () => {
      if (random.chance(0.5)) host.crash(...crashOf(random))
      else this.#world.controller.crash(random.between([0, random.pick([500, 20_000])]))
    })
  }

  /** Nothing waits for people for ever: they let it go on, or end it. */
  #leadOn(): void {
    const { time, operator } = this.#world
    time.after(this.#random.between([1000, 10_000]), () => {
      this.#leadOn()
      if (operator.openRollout?.between?.step !== 'pause') return
      if (this.#random.chance(0.7)) operator.goOn()
      else operator.cancel()
    })
  }

  #anyHost(): AgentHost {
    return this.#random.pick(this.#world.hosts)
  }

  #cutOff(host: AgentHost, forMs: number): void {
    this.#world.network.cutOffFor(host.id, forMs)
  }

  #later(withinMs: number, act: () => void): void {
    this.#world.time.after(this.#random.between([0, withinMs]), act)
  }
}

/** For how long, and who hears of it. */
export function crashOf(random: Random) {
  const downMs = random.between([0, random.pick([200, 5000, 45_000])])
  return [downMs, random.chance(0.3) ? 'nobody hears of it' : 'the controller hears of it'] as const
}
