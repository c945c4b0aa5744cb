// The wire between one agent and the controller: a TCP relay that passes every byte on, hears the
// messages of the agents' channel, may lose one, and can be cut or held up.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { decodeDown, decodeUp } from '#shared/wire/codec.ts'
import type { DownMessage, UpMessage } from '#shared/wire/messages.ts'
import { FrameReader } from './frames.ts'

export type Heard =
  | { readonly direction: 'up'; readonly message: UpMessage }
  | { readonly direction: 'down'; readonly message: DownMessage }

/** Called before a message is passed on; decides whether it is. */
export type Judge = (heard: Heard) => 'pass' | 'lose'

export class Relay {
  /** Replaced by a test that wants to act on a message. */
  judge: Judge = () => 'pass'
  readonly #server: Server
  readonly #controllerPort: () => number | null
  readonly #sockets = new Set<Socket>()
  /** Agents that connected while the wire was held up. */
  readonly #waiting = new Set<Socket>()
  #state: 'open' | 'cut' | 'held' = 'open'

  private constructor(controllerPort: () => number | null) {
    this.#controllerPort = controllerPort
    this.#server = createServer((socket) => this.#serve(socket))
  }

  /** @param controllerPort asked at every connection; null while there is no controller */
  static async open(controllerPort: () => number | null): Promise<Relay> {
    const relay = new Relay(controllerPort)
    relay.#server.listen(0, '127.0.0.1')
    await once(relay.#server, 'listening')
    return relay
  }

  /** What the agent takes for the controller's address. */
  get url(): string {
    const { port } = this.#server.address() as AddressInfo
    return `http://127.0.0.1:${port}`
  }

  /** Breaks every connection and refuses new ones until `mend`. */
  cut(): void {
    this.#state = 'cut'
    this.#breakAll()
  }

  /** Breaks every connection, and lets new ones wait until `mend`. */
  hold(): void {
    this.#state = 'held'
    this.#breakAll()
  }

  mend(): void {
    this.#state = 'open'
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const socket of waiting) this.#serve(socket)
  }

  async close(): Promise<void> {
    this.cut()
    const closed = once(this.#server, 'close')
    this.#server.close()
    await closed
  }

  #breakAll(): void {
    for (const socket of [...this.#sockets, ...this.#waiting]) socket.destroy()
    this.#waiting.clear()
  }

  #serve(agent: Socket): void {
    if (this.#state === 'held') {
      this.#waiting.add(agent.on('error', () => this.#waiting.delete(agent)))
      return
    }
    const port = this.#state === 'cut' ? null : this.#controllerPort()
    if (port === null) {
      agent.destroy()
      return
    }
    const controller = connect(port, '127.0.0.1')
    this.#pair(agent, controller)
    this.#pair(controller, agent)
    agent.once('data', (first: Buffer) => {
      if (first.toString('latin1', 0, 18) === 'GET /v1/agent HTTP') {
        this.#listen(first, agent, controller)
      } else {
        controller.write(first)
        agent.pipe(controller)
        controller.pipe(agent)
      }
    })
  }

  /** The end of one side is the end of the other. */
  #pair(socket: Socket, other: Socket): void {
    this.#sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => other.destroy())
    socket.on('close', () => {
      this.#sockets.delete(socket)
      other.destroySoon()
    })
  }

  #listen(first: Buffer, agent: Socket, controller: Socket): void {
    const up = new FrameReader()
    const down = new FrameReader()
    const passUp = (chunk: Buffer) => {
      for (const { raw, text } of up.push(chunk)) {
        const heard = text === null ? null : ({ direction: 'up', message: decodeUp(text) } as const)
        if (heard === null || this.judge(heard) === 'pass') controller.write(raw)
      }
    }
    const passDown = (chunk: Buffer) => {
      for (const { raw, text } of down.push(chunk)) {
        const heard =
          text === null ? null : ({ direction: 'down', message: decodeDown(text) } as const)
        if (heard === null || this.judge(heard) === 'pass') agent.write(raw)
      }
    }
    passUp(first)
    agent.on('data', passUp)
    controller.on('data', passDown)
  }
}
