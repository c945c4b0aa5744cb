// What scenarios are written in: a calm world, and sentences to move it and to wait for it.

import assert from 'node:assert/strict'
import type { Fact } from '#shared/environment/events.ts'
import type { Rollout } from '#shared/environment/rollout.ts'
import { declaresNothing } from '#shared/report.ts'
import type { Mutant } from '../mutants/mutant.ts'
import type { AgentHost } from '../world/agent-host.ts'
import { calm, type Faults } from '../world/faults.ts'
import type { Asked, DeployOptions } from '../world/operator.ts'
import { releaseOf } from '../world/operator.ts'
import { World } from '../world/world.ts'

export interface Scenario {
  /** `T1`, as the table of traces calls it. */
  readonly trace: string
  /** What must come of it, as a sentence. */
  readonly title: string
  readonly run: (script: Script) => Promise<void>
  /** The rule that closes this trace, taken out: then the scenario must fail. */
  readonly without: Omit<Mutant, 'name'>
}

export class Script {
  readonly world: World
  readonly #swaps: (readonly [name: string, version: string])[] = []

  constructor(print: ((line: string) => void) | null = null) {
    this.world = new World({ seed: 1, print })
    this.world.onSwapped = ({ name }, version) => this.#swaps.push([name, version])
  }

  host(name: string): AgentHost {
    return this.world.host(name)
  }

  /** Hosts that are enrolled and connected; `link` is what `current` is before Lockstep. */
  async fleet(
    names: readonly string[],
    link: string | null = null,
    declares = declaresNothing,
  ): Promise<void> {
    const { world } = this
    for (const name of names) {
      world.addHost(name, link, declares)
      world.join(name)
    }
    const joined = () => Object.keys(world.store.record.members).length === world.hosts.length
    await this.until('all have joined', joined)
    await world.run(1000)
  }

  /** The release is deployed and committed before anything else. */
  async committed(version: string): Promise<void> {
    assert.equal(await this.exitCode(this.world.operator.deploy(version)), 0)
    await this.world.settle()
  }

  /** v1 runs, v2 is on h0 as the first wave, which is healthy and rests. */
  async afterCanary(soakMs: number | null): Promise<Asked> {
    await this.fleet(['h0', 'h1', 'h2'])
    await this.committed('v1')
    const canary = { name: 'canary', hosts: { kind: 'count', value: 1 }, soakMs } as const
    const v2 = this.deploy('v2', { waves: [canary] })
    await this.recorded('wave-rested')
    await this.answer(v2)
    return v2
  }

  deploy(version: string, options: DeployOptions = {}): Asked {
    return this.world.operator.deploy(version, options)
  }

  /** Faults from now on; whatever is not named is calm. */
  weather(faults: Partial<Faults>): void {
    this.world.faults = { ...calm, ...faults }
  }

  async run(forMs: number): Promise<void> {
    await this.world.run(forMs)
  }

  async until(what: string, holds: () => boolean, withinMs = 60_000): Promise<void> {
    assert.ok(await this.world.until(holds, withinMs), `it never came that ${what}`)
  }

  /** As soon as it is durable; nobody has been told yet. */
  async recorded(type: Fact['type']): Promise<void> {
    const { world } = this
    let seen = false
    world.onRecorded = (fact) => {
      if (fact.type === type) seen = true
    }
    await this.until(`${type} is recorded`, () => seen, 20 * 60_000)
    world.onRecorded = () => undefined
  }

  async swapped(name: string, version: string): Promise<void> {
    const { disk } = this.host(name)
    await this.until(`${name} runs ${version}`, () => disk.runs?.version === version)
  }

  /** As the controller hears it. */
  isReady(name: string): boolean {
    const view = this.world.controller.runner?.state.sessions[this.host(name).id]
    return view !== undefined && view.report.ready !== null
  }

  /** The names of all hosts that ever swapped to the version, in the order in which they did. */
  swapsTo(version: string): readonly string[] {
    return this.#swaps.filter(([, to]) => to === version).map(([name]) => name)
  }

  /** The names of the hosts that started the version's once run, each as often as it did. */
  starts(version: string): readonly string[] {
    const { tree } = releaseOf(version)
    return this.world.hosts.flatMap(({ name, steps }) =>
      steps.runs.filter((run) => run.tree === tree).map(() => name),
    )
  }

  isRunningOnce(name: string): boolean {
    return this.host(name).steps.runs.some((run) => run.isAlive)
  }

  /** The request is answered; its code if it was refused, its outcome otherwise. */
  async answer(asked: Asked): Promise<string> {
    await this.until('the request is answered', () => asked.answer !== null)
    return asked.refusal ?? asked.answer?.outcome ?? ''
  }

  async exitCode(asked: Asked): Promise<number | null> {
    const { operator } = this.world
    const answered = () => asked.refusal !== null || operator.exitCode(asked.rollout) !== null
    await this.until('the rollout ends', answered, 20 * 60_000)
    return operator.exitCode(asked.rollout)
  }

  rollout(asked: Asked): Rollout {
    const found = asked.rollout === null ? null : this.world.store.rollout(asked.rollout)
    assert.ok(found !== null)
    return found
  }

  get epoch(): number {
    return this.world.store.record.decision?.fence.epoch ?? 0
  }

  /** What every host runs, by name. */
  get runs(): Readonly<Record<string, string | null>> {
    const { hosts } = this.world
    return Object.fromEntries(
      hosts.map(({ name, disk }) => [name, disk.runs?.version ?? disk.link]),
    )
  }
}
