// A controller and its agents as real processes on one machine: started, killed, restarted and asked,
// and nothing of them left at the end.

import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { DesiredAnswer, DesiredBody } from '#shared/api/requests.ts'
import type { EnvironmentView, RolloutView } from '#shared/api/schemas.ts'
import { ControllerClient } from '#cli/client/controller-client.ts'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { AgentHost } from './agent-host.ts'
import { Daemon, type DaemonOptions, patienceMs } from './daemon.ts'
import { FactFeed } from './fact-feed.ts'
import { News } from './news.ts'
import { Relay } from './relay.ts'

/** What a fleet needs of the test that it is for. */
export interface Scope {
  teardown(end: () => Promise<void>): void
}

export const place = { app: 'shop', environment: 'production' } as const

export class Fleet {
  readonly directory = mkdtempSync(join(tmpdir(), 'lockstep-e2e-'))
  readonly data = join(this.directory, 'controller')
  readonly hosts: AgentHost[] = []
  readonly #news = new News()
  readonly #feed = new FactFeed(() => this.#news.tell())
  readonly #started: Daemon[] = []
  #controller: Daemon | null = null
  #url: string | null = null
  /** The trust file of every host. */
  readonly #trust: string | undefined
  #keys = 0

  private constructor(trust: string | undefined) {
    this.#trust = trust
    // Even a test that crashes takes its processes with it.
    process.on('exit', this.#killAll)
  }

  /** A controller, and agents that joined it and are connected. */
  static async start(
    t: Scope,
    names: readonly string[],
    options: { settings?: string | ((name: string) => string); trust?: string } = {},
  ): Promise<Fleet> {
    const fleet = new Fleet(options.trust)
    t.teardown(() => fleet.#stop())
    await fleet.startController()
    const { settings } = options
    for (const name of names) {
      await fleet.addHost(name, typeof settings === 'function' ? settings(name) : settings)
    }
    if (names.length === 0) return fleet
    const token = await fleet.joinToken(names.length)
    for (const host of fleet.hosts) host.start(token)
    await fleet.connected(names)
    return fleet
  }

  // ---- processes -------------------------------------------------------------------------------

  /** Resolves when it listens and its events are followed. */
  async startController(options: DaemonOptions = {}): Promise<Daemon> {
    const daemon = Daemon.start(
      'controller',
      ['controller', '--data', this.data, '--listen', '127.0.0.1:0'],
      { onNews: () => this.#news.tell(), ...options },
    )
    this.#controller = daemon
    this.#started.push(daemon)
    const { url } = await daemon.logged((line) => line.msg === 'listening')
    assert(typeof url === 'string')
    this.#url = url
    void daemon.ended.then(() => {
      if (this.#url === url) this.#url = null
    })
    await this.#feed.follow(url, this.token)
    return daemon
  }

  /** The controller's present process, or its last one. */
  get controller(): Daemon {
    assert(this.#controller !== null)
    return this.#controller
  }

  /** Lays out a host, of production or of another environment; its agent is not started. */
  async addHost(
    name: string,
    settings?: string,
    environment: string = place.environment,
  ): Promise<AgentHost> {
    const relay = await Relay.open(() => this.port)
    const host = new AgentHost({
      app: place.app,
      environment,
      name,
      relay,
      directory: join(this.directory, name),
      ...(settings === undefined ? {} : { settings }),
      ...(this.#trust === undefined ? {} : { trust: this.#trust }),
      onNews: () => this.#news.tell(),
      onStarted: (daemon) => this.#started.push(daemon),
    })
    this.hosts.push(host)
    return host
  }

  host(name: string): AgentHost {
    const host = this.hosts.find((one) => one.name === name)
    assert(host !== undefined, `there is no host ${name}`)
    return host
  }

  // ---- requests --------------------------------------------------------------------------------

  /** Where the controller listens now. */
  get url(): string {
    if (this.#url === null) throw new LockstepError('unreachable', 'there is no controller')
    return this.#url
  }

  /** The controller's port; null while there is none. */
  get port(): number | null {
    return this.#url === null ? null : Number(new URL(this.#url).port)
  }

  get token(): string {
    return readFileSync(join(this.data, 'admin-token'), 'utf8').trim()
  }

  get client(): ControllerClient {
    const { url, token } = this
    return new ControllerClient({
      url,
      urlSource: 'the test',
      token,
      tokenSource: 'the test',
      env: {},
      trust: { kind: 'public' },
    })
  }

  /** One request as it stands, with the admin token unless another is given. */
  async request(
    method: string,
    path: string,
    options: { body?: unknown; token?: string | null } = {},
  ): Promise<{ status: number; body: Record<string, unknown> }> {
    const token = options.token === undefined ? this.token : options.token
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? {} : JSON.parse(text) }
  }

  async joinToken(uses = 1, environment: string = place.environment): Promise<string> {
    const body = { kind: 'join' as const, apps: [{ app: place.app, environment }], uses }
    return (await this.client.createToken(body)).token
  }

  async publish(version: string, tarball: Buffer | Readable, strip = 1): Promise<void> {
    const [stream, sizeBytes] = Buffer.isBuffer(tarball)
      ? [Readable.from([tarball]), tarball.length]
      : [tarball, undefined]
    await this.client.publish(place.app, version, strip, {
      stream,
      sizeBytes,
      onSent: () => undefined,
    })
  }

  /** Asks for a version; does not wait for anything. */
  desire(version: string, policy: Omit<DesiredBody, 'version'> = {}): Promise<DesiredAnswer> {
    this.#keys += 1
    return this.client.setDesired(place, { version, ...policy }, `key-${this.#keys}`)
  }

  /** Starts a rollout; where the answer is lost, it is asked for again under the same key. */
  async begin(version: string, policy: Omit<DesiredBody, 'version'> = {}): Promise<string> {
    this.#keys += 1
    const key = `key-${this.#keys}`
    const { outcome, rollout } = await this.until('an answer', () =>
      this.client.setDesired(place, { version, ...policy }, key),
    )
    assert(outcome === 'started' || outcome === 'open', outcome)
    assert(rollout !== null)
    return rollout.id
  }

  /** Rolls a version out, to its end and until every host has come to it. */
  async deploy(version: string): Promise<RolloutView> {
    const ended = await this.ended(await this.begin(version))
    assert.equal(ended.phase, 'committed', JSON.stringify(ended, null, 1))
    await this.converged(version)
    return ended
  }

  environment(): Promise<EnvironmentView> {
    return this.client.environment(place)
  }

  // ---- waiting ---------------------------------------------------------------------------------

  /** Every recorded fact so far, oldest first. */
  get facts(): FactFeed['facts'] {
    return this.#feed.facts
  }

  /** What `look` finds: looked for again whenever anything happened, until it is there. */
  async until<T>(what: string, look: () => Promise<T | undefined> | T | undefined): Promise<T> {
    const { promise: over, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(() => reject(new Error(this.#said(what))), patienceMs)
    over.catch(() => undefined)
    try {
      for (;;) {
        const news = this.#news.next()
        const found = await this.#look(look)
        if (found !== undefined) return found
        await Promise.race([news, over])
      }
    } finally {
      clearTimeout(timer)
    }
  }

  /** A controller that is away just now has nothing to show. */
  async #look<T>(look: () => Promise<T | undefined> | T | undefined): Promise<T | undefined> {
    try {
      return await look()
    } catch (error) {
      if (error instanceof LockstepError && error.code === 'unreachable') return undefined
      throw error
    }
  }

  connected(names: readonly string[]): Promise<true> {
    return this.until(`${names.join(', ')} connected`, async () => {
      const there = (await this.client.hosts({})).filter((host) => host.connected)
      return names.every((name) => there.some((host) => host.name === name)) || undefined
    })
  }

  /** The rollout once it fits. */
  rollout(id: string, what: string, isIt: (view: RolloutView) => boolean): Promise<RolloutView> {
    return this.until(`rollout ${what}`, async () => {
      const view = await this.client.rollout(id)
      return isIt(view) ? view : undefined
    })
  }

  ended(id: string): Promise<RolloutView> {
    return this.rollout(id, 'ended', (view) => view.endedAt !== null)
  }

  /** Every host, or those named, attests the version, serves it and has it at `current`. */
  converged(version: string, names = this.hosts.map((host) => host.name)): Promise<true> {
    return this.until(`${names.join(', ')} on ${version}`, async () => {
      const { hosts } = await this.environment()
      const isThere = names.every((name) => {
        const served = hosts.find((host) => host.name === name)?.apps
        const app = served?.find((one) => one.app === place.app)
        const host = this.host(name)
        return (
          app?.phase === 'healthy' &&
          app.runs === version &&
          host.current() === version &&
          host.isServing()
        )
      })
      return isThere || undefined
    })
  }

  // ---- the end ---------------------------------------------------------------------------------

  /** The last words of everyone, for a wait that was in vain. */
  #said(what: string): string {
    const logs = this.#started.map((daemon) => `--- ${daemon.name}\n${daemon.tail()}`)
    const facts = this.facts.map((fact) => fact.text)
    return [`${what}: did not come about`, ...logs, '--- facts', ...facts].join('\n')
  }

  readonly #killAll = (): void => {
    for (const daemon of this.#started) if (!daemon.isOver) daemon.signal('SIGKILL')
  }

  async #stop(): Promise<void> {
    this.#killAll()
    await Promise.all(this.#started.map((daemon) => daemon.ended))
    for (const host of this.hosts) await host.relay.close()
    rmSync(this.directory, { recursive: true, force: true })
    process.off('exit', this.#killAll)
    for (const daemon of this.#started) assert(!isAlive(daemon.pid), `${daemon.name} lives on`)
    assert(!existsSync(this.directory))
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    if (systemCodeOf(error) !== 'ESRCH') throw error
    return false
  }
}
