// The controller's end of the agents' channel in the hands of a test: it challenges, lets in or not,
// and says what it is told to, malformed things too.

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Test } from 'tap'
import { type WebSocket, WebSocketServer } from 'ws'
import { decodeUp } from '#shared/wire/codec.ts'
import type { DownMessage, UpMessage } from '#shared/wire/messages.ts'

export const controllerId = 'controller-of-the-test'

/** One connection of an agent. */
export class AgentConnection {
  readonly socket: WebSocket
  readonly messages: UpMessage[] = []
  readonly #waiting = new Set<() => void>()

  constructor(socket: WebSocket) {
    this.socket = socket
    socket.on('error', () => undefined)
    socket.on('message', (data: Buffer) => {
      this.messages.push(decodeUp(data.toString('utf8')))
      for (const wake of this.#waiting) wake()
      this.#waiting.clear()
    })
  }

  say(...messages: readonly DownMessage[]): void {
    for (const message of messages) this.socket.send(JSON.stringify(message))
  }

  /** The first `count` messages of the type, once they have come. */
  async heard<T extends UpMessage['type']>(type: T, count = 1) {
    for (;;) {
      const found = this.messages.filter(
        (message): message is Extract<UpMessage, { type: T }> => message.type === type,
      )
      if (found.length >= count) return found.slice(0, count)
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  /** How the agent ended it. */
  async ended(): Promise<{ code: number; reason: string }> {
    const [code, reason] = await once(this.socket, 'close')
    return { code, reason: String(reason) }
  }
}

export class ScriptedController {
  readonly url: string
  /** Answers the challenge; replaced by tests. */
  challenge: (response: ServerResponse) => void = (response) => {
    response.end(JSON.stringify({ nonce: 'n'.repeat(32), controller: controllerId }))
  }
  /** Answers what else is asked over HTTP; false leaves it to the challenge. */
  onRequest: ((request: IncomingMessage, response: ServerResponse) => boolean) | null = null
  /** What is done with an upgrade; null lets the agent in. */
  onUpgrade: ((request: IncomingMessage, socket: Socket) => void) | null = null
  readonly authorizations: (string | undefined)[] = []
  /** Every connection from the test's first to the last. */
  readonly sockets = new Set<Socket>()
  readonly #arrived: AgentConnection[] = []
  readonly #waiting = new Set<() => void>()

  private constructor(url: string) {
    this.url = url
  }

  static async start(t: Test): Promise<ScriptedController> {
    const server = createServer()
    const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const scripted = new ScriptedController(`http://127.0.0.1:${port}`)
    server.on('connection', (socket) => {
      scripted.sockets.add(socket)
      socket.on('error', () => undefined)
    })
    server.on('request', (request, response) => {
      const isAsked = scripted.onRequest?.(request, response) ?? false
      if (!isAsked) scripted.challenge(response)
    })
    server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      scripted.authorizations.push(request.headers.authorization)
      if (scripted.onUpgrade !== null) return scripted.onUpgrade(request, socket)
      sockets.handleUpgrade(request, socket, head, (webSocket) => {
        scripted.#arrived.push(new AgentConnection(webSocket))
        for (const wake of scripted.#waiting) wake()
        scripted.#waiting.clear()
      })
    })
    t.teardown(async () => {
      for (const socket of scripted.sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    })
    return scripted
  }

  /** The next connection that no test has taken yet. */
  async next(): Promise<AgentConnection> {
    for (;;) {
      const connection = this.#arrived.shift()
      if (connection !== undefined) return connection
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }
}
