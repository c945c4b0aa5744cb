// A controller that speaks TLS by its own authority, on a real port and a clock that the test moves,
// and an agent's key in the hands of somebody who sends what it likes.

import { mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import { type ClientOptions, WebSocket } from 'ws'
import { ControllerChannel } from '#agent/link/controller-channel.ts'
import { exchange, refusalOf } from '#agent/link/json-request.ts'
import { serveAgents } from '#controller/http/agent-upgrade.ts'
import type { HostApp } from '#controller/store/host-store.ts'
import type { KeyedCertificate } from '#controller/tls/certificate-authority.ts'
import { ControllerTls } from '#controller/tls/controller-tls.ts'
import { readKeyedFile } from '#controller/tls/keyed-file.ts'
import type { ChallengeAnswer, EnrolBody } from '#shared/api/enrolment.ts'
import { LockstepError } from '#shared/errors.ts'
import { withPin } from '#shared/join-token.ts'
import { parseJson } from '#shared/json-text.ts'
import type { Enrolment, Upgrade } from '#shared/wire/challenge.ts'
import { AgentKey } from './agent-key.ts'
import { FakeClock } from './fake-clock.ts'
import { asker, shop } from './fleet-facts.ts'
import { openTestServer, type TestServer } from './test-server.ts'

export interface EnrolAttempt {
  readonly key?: AgentKey
  readonly token?: string
  readonly challenge?: ChallengeAnswer
  /** What is signed otherwise than it is. */
  readonly signed?: Partial<Enrolment>
  /** What is sent otherwise than it was signed. */
  readonly sent?: Partial<EnrolBody> & Record<string, unknown>
  readonly channel?: ControllerChannel
}

export interface UpgradeAttempt {
  readonly key?: AgentKey
  /** Whom it says to be. */
  readonly host?: string
  readonly challenge?: ChallengeAnswer
  readonly signed?: Partial<Upgrade>
  /** The header, made of the right one. */
  readonly header?: (authorization: string) => string
  readonly headers?: Readonly<Record<string, string>>
  readonly channel?: ControllerChannel
}

const patience = () => AbortSignal.timeout(10_000)

export class IdentityScene {
  readonly server: TestServer
  readonly port: number
  readonly pin: string
  readonly authority: KeyedCertificate
  #names = 0

  private constructor(server: TestServer, facts: { port: number; authority: KeyedCertificate }) {
    this.server = server
    this.port = facts.port
    this.authority = facts.authority
    this.pin = server.ports.tls.pins()[0] ?? ''
  }

  static async open(t: Test, controllerId = 'controller-of-the-test'): Promise<IdentityScene> {
    const data = mkdtempSync(join(tmpdir(), 'lockstep-identity-'))
    t.teardown(() => rmSync(data, { recursive: true, force: true }))
    const log = { warn: () => undefined, info: () => undefined }
    // Certificates are judged by the clients' own clock.
    const clock = new FakeClock(Date.now())
    const choice = { mode: 'own-ca', names: [] } as const
    const tls = await ControllerTls.open(choice, { clock, data, host: '127.0.0.1', log })
    t.teardown(() => tls.stop())
    const there = await openTestServer(t, { tls, controllerId })
    const { ports } = there
    serveAgents(there.server.server, {
      ...ports,
      controllerId,
      isBehindProxy: false,
      tls,
      onError: (error) => t.fail(String(error)),
    })
    t.teardown(() => ports.sessions.stop())
    await there.server.listen({ host: '127.0.0.1', port: 0 })
    const { port } = there.server.server.address() as AddressInfo
    const authority = await readKeyedFile(join(data, 'tls/authority.pem'))
    if (authority === null) throw new Error('no authority')
    const server = { ...there, ports: { ...ports, tls, controllerId } }
    return new IdentityScene(server, { port, authority })
  }

  channel(pins: readonly string[] = [this.pin], url = `https://127.0.0.1:${this.port}`) {
    return new ControllerChannel({ url, pins: () => pins, isBound: true })
  }

  /** The text of a join token that is good for once and an hour. */
  async token(changes: { apps?: readonly HostApp[]; usesMax?: number } = {}): Promise<string> {
    const { ports, clock } = this.server
    const { text } = await ports.tokens.create({
      kind: 'join',
      grants: [],
      owner: null,
      apps: [shop],
      createdAt: clock.now(),
      expiresAt: clock.now() + 3_600_000,
      usesMax: 1,
      ...asker,
      ...changes,
    })
    return withPin(text, this.pin)
  }

  challenge(): ChallengeAnswer {
    const { controllerId: controller, challenges } = this.server.ports
    return { nonce: challenges.draw(), controller }
  }

  /** @returns `ok`, or the code of the refusal, here or there */
  async enrol(attempt: EnrolAttempt = {}): Promise<string> {
    const { key = new AgentKey(), challenge = this.challenge(), signed, sent } = attempt
    const token = attempt.token ?? (await this.token())
    this.#names += 1
    const name = `web-${this.#names}`
    return outcomeOf(async () => {
      const { status, body } = await exchange(attempt.channel ?? this.channel(), {
        method: 'POST',
        path: '/v1/enrol',
        body: (exporter) => ({
          ...key.enrolment(token, name, challenge, { exporter, ...signed }),
          ...sent,
        }),
      })
      if (status !== 201) throw refusalOf(parseJson(body)) ?? new Error(`${status} ${body}`)
    })
  }

  /** An enrolled key. */
  async host(): Promise<AgentKey> {
    const key = new AgentKey()
    const outcome = await this.enrol({ key })
    if (outcome !== 'ok') throw new Error(outcome)
    return key
  }

  /** @returns `ok` when a session could begin, or the code of the refusal, here or there */
  async upgrade(key: AgentKey, attempt: UpgradeAttempt = {}): Promise<string> {
    const { challenge = this.challenge(), signed, header = same, host } = attempt
    return outcomeOf(async () => {
      const channel = attempt.channel ?? this.channel()
      const { socket, exporter } = await channel.connect(patience())
      const changes = { exporter, ...signed }
      const by = attempt.key ?? key
      const { nonce, controller } = challenge
      const good = by.authorization(controller, nonce, host ?? key.host, changes)
      await connected(`${channel.url.replace('http', 'ws')}/v1/agent`, {
        headers: { authorization: header(good), ...attempt.headers },
        createConnection: () => socket,
      })
    })
  }
}

function same(text: string): string {
  return text
}

async function outcomeOf(attempt: () => Promise<void>): Promise<string> {
  try {
    await attempt()
    return 'ok'
  } catch (error) {
    if (error instanceof LockstepError) return error.code
    throw error
  }
}

/** Opens the channel and leaves it again. @throws LockstepError as the controller refused */
async function connected(url: string, options: ClientOptions): Promise<void> {
  const socket = new WebSocket(url, options)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  socket.on('open', () => socket.close(1000))
  socket.on('close', () => resolve())
  socket.on('error', reject)
  socket.on('unexpected-response', (_request, response) => {
    void text(response).then((body) => {
      reject(refusalOf(parseJson(body)) ?? new Error(body))
      socket.terminate()
    })
  })
  return promise
}
