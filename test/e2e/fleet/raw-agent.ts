// An agent of the test's own: a real identity, enrolled as any other, and a bare WebSocket on which
// it may say anything.

import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { WebSocket } from 'ws'
import { hostIdOf } from '#shared/ids.ts'
import { enrolmentBytes, formatUpgradeAuthorization, upgradeBytes } from '#shared/wire/challenge.ts'
import { type Fleet, place } from './fleet.ts'

export interface Closing {
  readonly code: number
  /** Every message that came down, in order. */
  readonly messages: readonly Record<string, unknown>[]
}

/** A refusal before the upgrade. */
export interface Refusal {
  readonly status: number
  readonly body: Record<string, unknown>
}

export class RawAgent {
  readonly name: string
  readonly publicKey: string
  readonly #key: KeyObject
  readonly #fleet: Fleet

  constructor(fleet: Fleet, name: string) {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    this.name = name
    this.publicKey = publicKey.export({ format: 'jwk' }).x ?? ''
    this.#key = privateKey
    this.#fleet = fleet
  }

  get id(): string {
    return hostIdOf(Buffer.from(this.publicKey, 'base64url'))
  }

  /** @param changes of the body that would be right */
  async enrol(token: string, changes: Record<string, unknown> = {}) {
    const { name, publicKey } = this
    const { nonce, controller } = await this.#challenge()
    const enrolment = { token, name, publicKey, nonce, apps: [place] }
    const signed = enrolmentBytes({ ...enrolment, controller, exporter: '' })
    const signature = this.#sign(signed)
    const body = { ...enrolment, signature, ...changes }
    return this.#fleet.request('POST', '/v1/enrol', { body, token: null })
  }

  /** @returns the headers of a good upgrade over a fresh challenge */
  async authorization(): Promise<string> {
    const challenge = await this.#challenge()
    const clientNonce = randomBytes(24).toString('base64url')
    const upgrade = { ...challenge, host: this.id, clientNonce, exporter: '' }
    return formatUpgradeAuthorization({
      ...upgrade,
      signature: this.#sign(upgradeBytes(upgrade)),
    })
  }

  /** Connects, sends these frames at once, and hears all until the controller closes. */
  async say(...frames: (string | Buffer)[]): Promise<Closing> {
    const socket = this.#dial('/v1/agent', await this.authorization())
    const messages: Record<string, unknown>[] = []
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    socket.on('open', () => {
      for (const frame of frames) socket.send(frame)
    })
    socket.on('message', (data: Buffer) => messages.push(JSON.parse(data.toString('utf8'))))
    socket.on('close', resolve)
    socket.on('error', reject)
    return { code: await promise, messages }
  }

  /** Tries to connect where it will not come to an upgrade. */
  async refused(path: string, authorization: string | null): Promise<Refusal> {
    const socket = this.#dial(path, authorization)
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    socket.on('unexpected-response', (_request: ClientRequest, response) => resolve(response))
    socket.on('open', () => reject(new Error('the controller upgraded the connection')))
    const response = await promise
    const body = JSON.parse(await text(response))
    socket.on('error', () => undefined)
    socket.terminate()
    return { status: response.statusCode ?? 0, body }
  }

  async #challenge(): Promise<{ nonce: string; controller: string }> {
    const { body } = await this.#fleet.request('GET', '/v1/agent/challenge', { token: null })
    return { nonce: String(body['nonce']), controller: String(body['controller']) }
  }

  #dial(path: string, authorization: string | null): WebSocket {
    return new WebSocket(`${this.#fleet.url.replace('http', 'ws')}${path}`, {
      headers: authorization === null ? {} : { authorization },
    })
  }

  #sign(bytes: Uint8Array): string {
    return sign(null, bytes, this.#key).toString('base64url')
  }
}
