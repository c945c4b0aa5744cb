// A whole controller in the test's own process: real database, content, HTTP and WebSockets on a
// free port, gone with the test.

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type LevelWithSilent, pino } from 'pino'
import type { Test } from 'tap'
import { Agent, fetch } from 'undici'
import { ControllerChannel } from '#agent/link/controller-channel.ts'
import { type Controller, startController } from '#controller/app.ts'
import { pinOfCertificate } from '#controller/tls/keyed-file.ts'
import type { TlsChoice } from '#shared/tls-choice.ts'
import type { Enrolment } from '#shared/wire/challenge.ts'
import { AgentKey } from './agent-key.ts'
import { AgentPeer } from './agent-peer.ts'
import { archive, file, gzip } from './archives.ts'
import { shop } from './fleet-facts.ts'

export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** The body as JSON, or as text where it is none. */
  readonly body: unknown
}

export interface Call {
  readonly token?: string | null
  readonly json?: unknown
  readonly body?: Uint8Array
  readonly headers?: Record<string, string>
}

export class RunningController {
  readonly data: string
  readonly log: Record<string, unknown>[] = []
  readonly fatal: Error[] = []
  #controller: Controller | null = null
  #port = 0
  readonly #tls: TlsChoice
  readonly #level: LevelWithSilent

  private constructor(data: string, level: LevelWithSilent, tls: TlsChoice) {
    this.data = data
    this.#level = level
    this.#tls = tls
  }

  static async start(
    t: Test,
    level: LevelWithSilent = 'warn',
    tls: TlsChoice = { mode: 'plain', forced: false },
  ): Promise<RunningController> {
    const data = mkdtempSync(join(tmpdir(), 'lockstep-controller-'))
    const running = new RunningController(data, level, tls)
    t.teardown(async () => {
      await running.stop()
      rmSync(running.data, { recursive: true, force: true })
    })
    await running.start()
    return running
  }

  /** Starts again on the same data and the same port. */
  async start(): Promise<void> {
    const write = (line: string) => this.log.push(JSON.parse(line))
    this.#controller = await startController({
      data: this.data,
      host: '127.0.0.1',
      port: this.#port,
      tls: this.#tls,
      version: '0.0.0-test',
      log: pino({ level: this.#level }, { write }),
      onFatal: (error) => this.fatal.push(error),
    })
    this.#port = Number(new URL(this.#controller.url).port)
  }

  async stop(): Promise<void> {
    const controller = this.#controller
    this.#controller = null
    await controller?.stop()
  }

  get url(): string {
    return `${this.pins.length === 0 ? 'http' : 'https'}://127.0.0.1:${this.#port}`
  }

  /** Of the certificates that it shows; none where it speaks plain HTTP. */
  get pins(): readonly string[] {
    const path = join(this.data, 'ca.pem')
    const text = existsSync(path) ? readFileSync(path, 'utf8') : ''
    return text
      .split(/(?=-----BEGIN)/)
      .filter(Boolean)
      .map(pinOfCertificate)
  }

  /** An agent's way to it. */
  channel(pins: readonly string[] = this.pins): ControllerChannel {
    return new ControllerChannel({ url: this.url, pins: () => pins, isBound: true })
  }

  get adminToken(): string {
    return readFileSync(join(this.data, 'admin-token'), 'utf8').trim()
  }

  /** For a client of one call that trusts what it shows. */
  get dispatcher(): Agent | undefined {
    if (!this.url.startsWith('https:')) return undefined
    return new Agent({ connect: { ca: readFileSync(join(this.data, 'ca.pem'), 'utf8') } })
  }

  async call(method: string, path: string, call: Call = {}): Promise<Answer> {
    const { token = this.adminToken, json, body = json, headers } = call
    const { dispatcher } = this
    const response = await fetch(`${this.url}${path}`, {
      ...(dispatcher === undefined ? {} : { dispatcher }),
      method,
      redirect: 'manual',
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(json === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined
        ? {}
        : { body: body instanceof Uint8Array ? Buffer.from(body) : JSON.stringify(body) }),
    })
    const text = await response.text()
    await dispatcher?.close()
    const answered = new Headers([...response.headers])
    return { status: response.status, headers: answered, body: asJson(text) }
  }

  /** The body of a call that must go well. */
  async ask<Body>(method: string, path: string, json?: unknown): Promise<Body> {
    const answer = await this.call(method, path, json === undefined ? {} : { json })
    if (answer.status < 300) return answer.body as Body
    throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
  }

  async joinToken(
    apps: readonly { app: string; environment: string }[] = [shop],
    uses = 1,
  ): Promise<string> {
    const body = { kind: 'join', apps, uses }
    return (await this.ask<{ token: string }>('POST', '/v1/tokens', body)).token
  }

  /** Enrols a key of its own under the name. */
  async enrol(name: string): Promise<AgentKey> {
    const key = new AgentKey()
    await this.ask('POST', '/v1/enrol', await this.enrolment(key, await this.joinToken(), name))
    return key
  }

  async challenge(): Promise<{ nonce: string; controller: string }> {
    return this.ask('GET', '/v1/agent/challenge')
  }

  /** The body of a good enrolment over a fresh challenge. */
  async enrolment(key: AgentKey, token: string, name: string, changes: Partial<Enrolment> = {}) {
    return key.enrolment(token, name, await this.challenge(), changes)
  }

  /** Opens the agents' channel as the key's owner. */
  async connect(key: AgentKey): Promise<AgentPeer> {
    const { nonce, controller } = await this.challenge()
    const { socket, exporter } = await this.channel().connect(AbortSignal.timeout(10_000))
    const authorization = key.authorization(controller, nonce, key.host, { exporter })
    return AgentPeer.open(this.url, authorization, socket)
  }

  /** @returns the tree digest of a release with one file of this content */
  async publish(version: string, content = version): Promise<string> {
    const path = `/v1/apps/shop/releases/${version}`
    const answer = await this.call('PUT', path, { body: tarballOf(content) })
    const { tree } = answer.body as { tree: string }
    return tree
  }
}

export function tarballOf(content: string): Buffer {
  return gzip(archive(file('index.html', content)))
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return text
    throw error
  }
}
