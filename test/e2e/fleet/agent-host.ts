// One host of a fleet: its directories, its agent's process, its wire, and what its disk says.

import { existsSync, mkdirSync, readdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { AppJournal } from '#agent/journal/app-journal.ts'
import { Identity } from '#agent/link/identity.ts'
import type { Journal } from '#shared/activation/state.ts'
import { systemCodeOf } from '#shared/errors.ts'
import { Daemon, type DaemonOptions } from './daemon.ts'
import type { Relay } from './relay.ts'

export interface HostPlan {
  readonly name: string
  readonly directory: string
  readonly relay: Relay
  readonly app: string
  readonly environment: string
  /** More lines for the app's section of agent.toml. */
  readonly settings?: string
  /** The host's trust file, where it has one. */
  readonly trust?: string
  readonly onNews: () => void
  readonly onStarted: (daemon: Daemon) => void
}

export class AgentHost {
  readonly name: string
  readonly root: string
  readonly state: string
  readonly configFile: string
  readonly relay: Relay
  readonly #plan: HostPlan
  #daemon: Daemon | null = null

  constructor(plan: HostPlan) {
    this.#plan = plan
    this.name = plan.name
    this.relay = plan.relay
    this.root = join(plan.directory, 'shop')
    this.state = join(plan.directory, 'state')
    this.configFile = join(plan.directory, 'agent.toml')
    mkdirSync(plan.directory, { recursive: true })
    writeFileSync(
      this.configFile,
      [
        `controller = "${plan.relay.url}"`,
        `name = "${plan.name}"`,
        `state = "${this.state}"`,
        plan.trust === undefined ? '' : `trust = "${plan.trust}"`,
        `[apps.${plan.app}]`,
        `environment = "${plan.environment}"`,
        `root = "${this.root}"`,
        plan.settings ?? '',
        '',
      ].join('\n'),
    )
  }

  /** @param joinToken its text, for the first start */
  start(joinToken?: string, options: DaemonOptions = {}): Daemon {
    const args = ['agent', '--config', this.configFile]
    if (joinToken !== undefined) {
      const file = join(this.#plan.directory, 'join-token')
      writeFileSync(file, `${joinToken}\n`, { mode: 0o600 })
      args.push('--join-token-file', file)
    }
    const { onNews, onStarted } = this.#plan
    this.#daemon = Daemon.start(this.name, args, { onNews, ...options })
    onStarted(this.#daemon)
    return this.#daemon
  }

  /**
   * Its process dies as it is told to swap, and hears and says nothing more: what is under way on
   * a busy machine when it is killed does not come through either.
   */
  dieWhenTold(): void {
    let isLost = false
    this.relay.judge = ({ message }) => {
      if (message.type === 'desired' && message.kind === 'activate') {
        isLost = true
        this.daemon.signal('SIGKILL')
      }
      return isLost ? 'lose' : 'pass'
    }
  }

  /** The agent's present process, or its last one. */
  get daemon(): Daemon {
    if (this.#daemon === null) throw new Error(`${this.name} was never started`)
    return this.#daemon
  }

  get isUp(): boolean {
    return this.#daemon !== null && !this.#daemon.isOver
  }

  /** The host's id, from the key that its agent made. */
  async id(): Promise<string> {
    return (await Identity.open(join(this.state, 'identity.json'))).host
  }

  /** The version that `current` names on the disk, `null` for no link, otherwise what is there. */
  current(): string | null {
    const path = join(this.root, 'current')
    try {
      const link = readlinkSync(path)
      const version = basename(link)
      return link === `versions/${version}` && statSync(path).isDirectory()
        ? version
        : `broken link ${link}`
    } catch (error) {
      const code = systemCodeOf(error)
      if (code === 'ENOENT') return null
      if (code === 'EINVAL') return 'a directory'
      throw error
    }
  }

  /** The versions that are staged whole. */
  versions(): string[] {
    return readdirSync(join(this.root, 'versions')).sort()
  }

  /** Whether a load balancer may send requests. */
  isServing(): boolean {
    return existsSync(join(this.root, '.lockstep/serving'))
  }

  /** What the agent has persisted. */
  journal(): Promise<Journal> {
    const { environment } = this.#plan
    return new AppJournal(join(this.root, '.lockstep/journal.json'), environment).load()
  }
}
