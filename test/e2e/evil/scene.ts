// An attacker with a controller, and one host: the moves that attacks are made of, and how the host
// answers them.

import { createHash } from 'node:crypto'
import type { Desired } from '#shared/desired.ts'
import type { Release } from '#shared/release.ts'
import type { ObservedMessage } from '#shared/wire/messages.ts'
import { type Described, releaseOf, type TestRelease } from '../../integration/test-release.ts'
import {
  ann,
  ci,
  type Signer,
  signedStatement,
  statement as anyStatement,
} from '../../unit/shared/trust/signing.ts'
import type { EvilController } from './evil-controller.ts'
import type { GuardedHost } from './guarded-host.ts'

/** `refused` with the code that the host says. */
export type Outcome = 'taken' | `refused ${string}`

export interface Attack {
  readonly name: string
  /** Whose list of attacks it is from, or what it is aimed at. */
  readonly kind: string
  /**
   * With `evil` false the same moves as an honest controller makes them: those have to be taken.
   * So an attack that fails fails because of what is evil in it.
   */
  readonly attempt: (scene: Scene, evil: boolean) => Promise<Outcome>
  /** There is no honest way to do it. */
  readonly hasNoControl?: true
}

type Statement = typeof anyStatement

export class Scene {
  readonly controller: EvilController
  readonly host: GuardedHost
  /** What the environment runs. */
  committed: TestRelease | null = null
  #releases = 0
  #epoch = 0

  constructor(controller: EvilController, host: GuardedHost) {
    this.controller = controller
    this.host = host
  }

  get epoch(): number {
    return this.#epoch
  }

  /** The sequence of the release that was made last. */
  get sequence(): number {
    return this.#releases
  }

  /** A release that nobody signed yet, and that the controller serves. */
  make(more: Record<string, Described> = {}): TestRelease {
    this.#releases += 1
    const version = `1.${this.#releases}.0`
    const release = releaseOf(version, {
      'index': `release ${version}`,
      'bin/evil.sh': { content: `#!/bin/sh\ntouch ${this.host.pwned}\n`, mode: 0o755 },
      'same': 'the same in every release',
      ...more,
    })
    this.controller.offer(release, this.committed === null ? [] : [this.committed])
    return release
  }

  /** What CI would sign of it. */
  statementOf({ version, tree }: Release, changes: Partial<Statement> = {}) {
    const { floor: _, ...rest } = anyStatement
    const sequence = Number(version.split('.')[1])
    const expires = '2099-01-01T00:00:00Z'
    return { ...rest, version, tree, sequence, expires, ...changes }
  }

  /** Signed by enough people, and so let in. */
  sign(release: TestRelease, changes: Partial<Statement> = {}): void {
    this.host.allow(release)
    this.show(release, changes, ci, ann)
  }

  /** A statement that enough people signed. */
  signed(release: Release): Buffer {
    return signedStatement(this.statementOf(release), ci, ann)
  }

  /** Serves a statement, whoever signed it. */
  show(release: Release, changes: Partial<Statement>, ...signers: Signer[]): void {
    const content = this.statementOf(release, changes)
    this.controller.statement(release, signedStatement(content, ...signers))
  }

  nextFence(epoch = this.#epoch + 1, mark = 'decision'): Desired['fence'] {
    this.#epoch = Math.max(epoch, this.#epoch)
    const hash = createHash('sha256').update(`${mark} ${epoch}`).digest('hex')
    return { term: 1, epoch, hash }
  }

  desired(changes: Partial<Desired>): Desired {
    const release = refOf(this.committed)
    return {
      fence: this.nextFence(),
      kind: 'stage',
      hold: false,
      drain: false,
      run: { release, fallback: release, activateAt: null },
      stage: null,
      once: false,
      history: [],
      ...changes,
    }
  }

  /** Tells it, and waits for what the host makes of it. */
  async tell(desired: Desired, isTaken: (report: ObservedMessage) => boolean): Promise<Outcome> {
    const { epoch } = desired.fence
    const from = this.controller.reportCount
    this.controller.tell(desired)
    const report = await this.controller.report(
      (one) => one.fence?.epoch === epoch && (one.failure !== null || isTaken(one)),
      from,
    )
    return report.failure === null ? 'taken' : `refused ${report.failure.code}`
  }

  async stage(release: Release, changes: Partial<Desired> = {}): Promise<Outcome> {
    const desired = this.desired({ stage: refOf(release), ...changes })
    return this.tell(desired, ({ ready }) => ready?.target === release.tree)
  }

  async activate(release: Release, changes: Partial<Desired> = {}): Promise<Outcome> {
    const run = { release: refOf(release), fallback: refOf(this.committed), activateAt: null }
    return this.tell(this.desired({ kind: 'activate', run, ...changes }), (one) =>
      isOn(one, release),
    )
  }

  /** Says that the environment runs it for good. */
  async settle(release: TestRelease, changes: Partial<Desired> = {}): Promise<Outcome> {
    const ref = refOf(release)
    const run = { release: ref, fallback: ref, activateAt: null }
    const outcome = await this.tell(this.desired({ kind: 'settle', run, ...changes }), (one) =>
      isOn(one, release),
    )
    if (outcome === 'taken') this.committed = release
    return outcome
  }

  /** A whole honest rollout of a release that is signed. */
  async deploy(release: TestRelease): Promise<Outcome> {
    for (const step of [this.stage, this.activate, this.settle]) {
      const outcome = await step.call(this, release)
      if (outcome !== 'taken') return outcome
    }
    return 'taken'
  }

  /** Back to what is committed; it has to be taken. */
  async calm(): Promise<void> {
    const { committed } = this
    if (committed === null) return
    const outcome = await this.settle(committed)
    if (outcome !== 'taken') throw new Error(`the host does not go back: ${outcome}`)
  }
}

function isOn({ standing, phase, current }: ObservedMessage, release: Release): boolean {
  return standing === 'run' && phase === 'healthy' && current?.tree === release.tree
}

export function refOf(release: Release): Release
export function refOf(release: Release | null): Release | null
export function refOf(release: Release | null): Release | null {
  return release === null ? null : { version: release.version, tree: release.tree }
}
