// The agent's end of the channel, in the hands of a test: says what it is told to and keeps what it
// hears.

import { once } from 'node:events'
import type { Socket } from 'node:net'
import { WebSocket } from 'ws'
import { decodeDown } from '#shared/wire/codec.ts'
import type { DownMessage, UpMessage } from '#shared/wire/messages.ts'

type MessageOf<T extends DownMessage['type']> = Extract<DownMessage, { type: T }>

export class AgentPeer {
  readonly socket: WebSocket
  readonly messages: DownMessage[] = []
  readonly #waiting = new Set<() => void>()
  readonly #closed: Promise<{ code: number; reason: string }>

  private constructor(socket: WebSocket) {
    this.socket = socket
    const { promise, resolve } = Promise.withResolvers<{ code: number; reason: string }>()
    this.#closed = promise
    socket.on('message', (data: Buffer) => {
      this.messages.push(decodeDown(data.toString('utf8')))
      this.#wake()
    })
    socket.on('error', () => undefined)
    socket.on('close', (code, reason) => {
      resolve({ code, reason: reason.toString() })
      this.#wake()
    })
  }

  /** @throws Error with the controller's answer when it refuses the upgrade. */
  static async open(
    controllerUrl: string,
    authorization: string | null,
    connection?: Socket,
  ): Promise<AgentPeer> {
    const socket = new WebSocket(`${controllerUrl.replace(/^http/, 'ws')}/v1/agent`, {
      headers: authorization === null ? {} : { authorization },
      perMessageDeflate: false,
      ...(connection === undefined ? {} : { createConnection: () => connection }),
    })
    const peer = new AgentPeer(socket)
    await once(socket, 'open')
    return peer
  }

  say(...messages: readonly UpMessage[]): void {
    for (const message of messages) this.socket.send(JSON.stringify(message))
  }

  sayRaw(data: string | Uint8Array): void {
    this.socket.send(data)
  }

  /** How the connection ended; the code is the one that the controller sent. */
  get closed(): Promise<{ code: number; reason: string }> {
    return this.#closed
  }

  /** The first message of the type that also fits, of those heard so far or to come. */
  async next<T extends DownMessage['type']>(
    type: T,
    fits: (message: MessageOf<T>) => boolean = () => true,
  ): Promise<MessageOf<T>> {
    for (;;) {
      const found = this.messages.find((m): m is MessageOf<T> => m.type === type && fits(asOf(m)))
      if (found !== undefined) return found
      if (this.socket.readyState === WebSocket.CLOSED) throw new Error(`closed without a ${type}`)
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }

    function asOf(message: DownMessage): MessageOf<T> {
      return message as MessageOf<T>
    }
  }

  /** Everything that was sent before has been handled when this resolves. */
  async settled(): Promise<void> {
    const sentAt = performance.now()
    this.say({ type: 'clock', sentAt })
    await this.next('clock', (message) => message.sentAt === sentAt)
  }

  async end(): Promise<void> {
    this.socket.close(1000)
    await this.#closed
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}
