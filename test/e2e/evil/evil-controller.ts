// A controller in the hands of an attacker: it speaks the agents' protocol, serves content, and says
// and serves whatever it is told to. It holds no key that signs releases.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Test } from 'tap'
import type { Desired } from '#shared/desired.ts'
import type { Release } from '#shared/release.ts'
import type { ObservedMessage } from '#shared/wire/messages.ts'
import { packOf, sha256Of, type TestRelease } from '../../integration/test-release.ts'
import { type AgentConnection, ScriptedController } from '../../support/scripted-controller.ts'

export type Answer = (response: ServerResponse, request: IncomingMessage) => void

/** Only a ceiling for what never comes. */
const patienceMs = 60_000

export const withBytes =
  (body: Uint8Array): Answer =>
  (response) =>
    response.writeHead(200, { etag: `"${sha256Of(body)}"` }).end(body)

export class EvilController {
  readonly #scripted: ScriptedController
  readonly #answers = new Map<string, Answer>()
  readonly #reports: ObservedMessage[] = []
  readonly #waiting = new Set<() => void>()
  readonly requests: string[] = []
  #connection: AgentConnection | null = null
  #sessions = 0
  #told: Desired | null = null
  contentToken = 'content-token'
  /** What it says its clock is, beside the true one. */
  clockShiftMs = 0

  private constructor(scripted: ScriptedController) {
    this.#scripted = scripted
    scripted.onRequest = (request, response) => this.#serve(request, response)
    void this.#meet()
  }

  static async start(t: Test): Promise<EvilController> {
    return new EvilController(await ScriptedController.start(t))
  }

  get url(): string {
    return this.#scripted.url
  }

  get sessions(): number {
    return this.#sessions
  }

  /** Serves what an honest controller would of it, but for a statement. */
  offer(release: TestRelease, held: readonly TestRelease[]): void {
    const { tree } = release
    this.answer(`/v1/trees/${tree}/manifest`, withBytes(Buffer.from(release.manifest)))
    this.answer(`/v1/trees/${tree}/pack`, withBytes(packOf(release)))
    for (const from of held) {
      this.answer(`/v1/trees/${tree}/pack?from=${from.tree}`, withBytes(packOf(release, from)))
    }
  }

  answer(path: string, answer: Answer): void {
    this.#answers.set(path, answer)
  }

  /** Answers whatever is asked for by this beginning. */
  answerAll(prefix: string, answer: Answer): void {
    for (const path of this.#answers.keys()) if (path.startsWith(prefix)) this.answer(path, answer)
  }

  statement({ version, tree }: Release, answer: Answer | Uint8Array): void {
    const path = `/v1/trees/${tree}/statements/shop/${version}`
    this.answer(path, typeof answer === 'function' ? answer : withBytes(answer))
  }

  /** Said now, and again in every session to come. */
  tell(desired: Desired): void {
    this.#told = desired
    this.say({ type: 'desired', app: 'shop', environment: 'production', ...desired })
  }

  say(message: unknown): void {
    this.sayRaw(JSON.stringify(message))
  }

  sayRaw(frame: string | Uint8Array): void {
    this.#connection?.socket.send(frame)
  }

  /** The first report from `from` on that fits. */
  async report(
    fits: (report: ObservedMessage) => boolean,
    from = this.#reports.length,
  ): Promise<ObservedMessage> {
    return this.#until(() => this.#reports.slice(from).find(fits))
  }

  get reportCount(): number {
    return this.#reports.length
  }

  /** The agent is there in a session later than this one. */
  async session(after: number): Promise<void> {
    await this.#until(() => (this.#sessions > after && this.#connection !== null) || undefined)
  }

  /** Ends the session as a controller does that restarts. */
  endSession(): void {
    this.#connection?.socket.close(1001)
  }

  /** The code with which the present session ends. */
  async ended(): Promise<number> {
    const connection = this.#connection
    if (connection === null) throw new Error('there is no session')
    return (await connection.ended()).code
  }

  async asked(path: string, from: number): Promise<void> {
    await this.#until(() => this.requests.slice(from).find((asked) => asked.startsWith(path)))
  }

  async #until<Value>(look: () => Value | undefined): Promise<Value> {
    const deadline = setTimeout(() => this.#wake(), patienceMs)
    const startedAt = performance.now()
    try {
      for (;;) {
        const found = look()
        if (found !== undefined) return found
        if (performance.now() - startedAt > patienceMs) {
          const last = JSON.stringify(this.#reports.at(-1))
          throw new Error(`nothing of it in ${patienceMs} ms; the last report: ${last}`)
        }
        await new Promise<void>((resolve) => this.#waiting.add(resolve))
      }
    } finally {
      clearTimeout(deadline)
    }
  }

  async #meet(): Promise<never> {
    for (;;) {
      const connection = await this.#scripted.next()
      this.#connection = connection
      connection.socket.on('close', () => {
        if (this.#connection === connection) this.#connection = null
        this.#wake()
      })
      void this.#keepCompany(connection)
    }
  }

  async #keepCompany(connection: AgentConnection): Promise<void> {
    await connection.heard('hello')
    const { contentToken } = this
    connection.say({ type: 'welcome', contentToken, pins: [] })
    this.#sessions += 1
    let read = 0
    const listen = () => {
      for (const message of connection.messages.slice(read)) {
        read += 1
        if (message.type === 'observed') this.#reports.push(message)
        if (message.type === 'clock') {
          const at = Math.max(0, Date.now() + this.clockShiftMs)
          connection.say({ type: 'clock', sentAt: message.sentAt, at })
        }
      }
      this.#wake()
    }
    connection.socket.on('message', listen)
    listen()
    if (this.#told !== null) this.tell(this.#told)
  }

  #serve(request: IncomingMessage, response: ServerResponse): boolean {
    const path = request.url ?? ''
    if (path === '/v1/agent/challenge') return false
    response.on('error', () => undefined)
    this.requests.push(path)
    const answer = this.#answers.get(path)
    if (answer === undefined) response.writeHead(404).end()
    else answer(response, request)
    this.#wake()
    return true
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}
