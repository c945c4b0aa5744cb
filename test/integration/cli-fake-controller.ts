// A controller that answers what a test gives it, over real HTTP, and is held to the schemas as the real
// one is: an answer that no controller would give fails the test. It can be stopped and started again.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { AuditHeadView, AuditList } from '#shared/api/audit-schemas.ts'
import { ControllerView } from '#shared/api/controller-schemas.ts'
import { HookOutputList } from '#shared/api/output-schemas.ts'
import { DiffView, KeepView, PruneAnswer, RemovedRelease } from '#shared/api/release-schemas.ts'
import { PlanView } from '#shared/api/plan.ts'
import {
  ApprovalList,
  ApprovalView,
  DesiredAnswer,
  RecoverAnswer,
  SettingsView,
} from '#shared/api/requests.ts'
import {
  AppList,
  EnvironmentView,
  ErrorBody,
  FactList,
  FactView,
  HostList,
  HostView,
  ReleaseList,
  ReleaseView,
  RolloutList,
  RolloutView,
} from '#shared/api/schemas.ts'
import { TokenCreated, TokenList, WhoAmI } from '#shared/api/token-schemas.ts'

export interface Asked {
  readonly method: string
  /** With its query. */
  readonly url: string
  readonly headers: IncomingMessage['headers']
  /** The text, or for an upload its bytes. */
  readonly body: Buffer
}

export interface Answer {
  readonly status?: number
  /** JSON, unless `raw` is given. */
  readonly body?: unknown
  readonly raw?: string
  readonly headers?: Record<string, string>
}

/** Undefined leaves the question to the next handler; `hang-up` breaks the connection. */
export type Handler = (asked: Asked) => Answer | 'hang-up' | undefined

const place = '/v1/apps/[^/]+/environments/[^/]+'
const schemas: readonly (readonly [RegExp, TSchema])[] = [
  [/^PUT \/v1\/apps\/[^/]+\/releases\/[^/]+$/, ReleaseView],
  [/^PUT \/v1\/apps\/[^/]+\/releases\/[^/]+\/statement$/, ReleaseView],
  [/^GET \/v1\/apps\/[^/]+\/releases$/, ReleaseList],
  [/^GET \/v1\/apps\/[^/]+\/releases\/[^/]+\/diff$/, DiffView],
  [/^POST \/v1\/apps\/[^/]+\/releases\/prune$/, PruneAnswer],
  [/^DELETE \/v1\/apps\/[^/]+\/releases\/[^/]+$/, RemovedRelease],
  [/^(?:GET|PUT) \/v1\/apps\/[^/]+\/keep$/, KeepView],
  [/^GET \/v1\/apps$/, AppList],
  [new RegExp(`^PUT ${place}/desired$`), DesiredAnswer],
  [new RegExp(`^POST ${place}/(rollback|promote)$`), DesiredAnswer],
  [new RegExp(`^POST ${place}/plan$`), PlanView],
  [new RegExp(`^(POST|DELETE) ${place}/freeze$`), SettingsView],
  [new RegExp(`^GET ${place}/approvals$`), ApprovalList],
  [new RegExp(`^GET ${place}/approvals/[^/]+$`), ApprovalView],
  [new RegExp(`^POST ${place}/approvals/[^/]+/approve$`), DesiredAnswer],
  [new RegExp(`^POST ${place}/approvals/[^/]+/withdraw$`), ApprovalView],
  [new RegExp(`^PUT ${place}/settings$`), SettingsView],
  [new RegExp(`^POST ${place}/recover$`), RecoverAnswer],
  [new RegExp(`^GET ${place}$`), EnvironmentView],
  [new RegExp(`^GET ${place}/rollouts$`), RolloutList],
  [/^GET \/v1\/rollouts\/[^/]+$/, RolloutView],
  [/^GET \/v1\/rollouts\/[^/]+\/output$/, HookOutputList],
  [/^POST \/v1\/rollouts\/[^/]+\/(cancel|continue|pause)$/, DesiredAnswer],
  [/^GET \/v1\/facts$/, FactList],
  [/^GET \/v1\/audit$/, AuditList],
  [/^GET \/v1\/audit\/head$/, AuditHeadView],
  [/^GET \/v1\/hosts$/, HostList],
  [/^(POST|DELETE) \/v1\/hosts\/[^/]+\/drain$/, HostView],
  [/^POST \/v1\/tokens$/, TokenCreated],
  [/^GET \/v1\/tokens$/, TokenList],
  [/^GET \/v1\/whoami$/, WhoAmI],
  [/^GET \/v1\/controller$/, ControllerView],
]

/** A controller with nothing to warn of, unless a test gives it something. */
const aboutItself: Handler = (asked) => {
  if (questionOf(asked) !== 'GET /v1/controller') return undefined
  const tls = { mode: 'plain', pins: [], certificates: null, expiresAt: null }
  return { body: { id: 'controller-1', version: '1.2.3', tls, warnings: [] } }
}

export class FakeController {
  readonly asked: Asked[] = []
  readonly #handlers: Handler[] = [aboutItself]
  readonly #streams = new Set<ServerResponse>()
  readonly #waiting = new Set<() => void>()
  #server: Server | undefined
  #refusal: Answer | undefined
  #port = 0
  /** Of the test's own mistakes, thrown by `stop`. */
  #mistake: Error | undefined

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  async start(): Promise<this> {
    const server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        this.#mistake ??= error instanceof Error ? error : new Error(String(error))
        response.destroy()
      })
    })
    server.listen(this.#port, '127.0.0.1')
    await once(server, 'listening')
    this.#port = (server.address() as AddressInfo).port
    this.#server = server
    return this
  }

  /** As `kill -9` would: every connection breaks. */
  async stop(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    this.#streams.clear()
    if (server !== undefined) {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    }
    if (this.#mistake !== undefined) throw this.#mistake
  }

  /** The newest handler is asked first. */
  on(handler: Handler): this {
    this.#handlers.unshift(handler)
    return this
  }

  /** Answers `METHOD /path`, whatever the query. */
  answer(question: string, body: unknown, status = 200): this {
    return this.on((asked) => (questionOf(asked) === question ? { status, body } : undefined))
  }

  /** The first answer to the first question, and so on; the last one stays. */
  answerInTurn(question: string, ...bodies: unknown[]): this {
    const left = [...bodies]
    return this.on((asked) => {
      if (questionOf(asked) !== question) return undefined
      return { body: left.length > 1 ? left.shift() : left[0] }
    })
  }

  /** Answers at the first byte of an upload, and reads no more than what comes on its own. */
  refuseUploads(body: unknown, status: number): void {
    this.#refusal = { status, body }
  }

  /** Sends an event to everyone who listens. */
  send(type: string, data: unknown, id?: number): void {
    if (type === 'fact') assert(Compile(FactView).Check(data), 'a fact of the right shape')
    const idLine = id === undefined ? '' : `id: ${id}\n`
    for (const stream of this.#streams) {
      stream.write(`${idLine}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`)
    }
  }

  /** Says that shop in production changed. */
  change(): void {
    this.send('change', { app: 'shop', environment: 'production', rollout: null })
  }

  /** Resolves once somebody listens to the events. */
  async listened(): Promise<void> {
    await this.#until(() => this.#streams.size > 0)
  }

  /** How often it was asked; resolves once that often. */
  async askedTimes(question: string, times: number): Promise<void> {
    await this.#until(() => this.countOf(question) >= times)
  }

  countOf(question: string): number {
    return this.asked.filter((asked) => questionOf(asked) === question).length
  }

  async #until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise<void>((resolve) => this.#waiting.add(resolve))
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request
    const chunks: Buffer[] = []
    if (method === 'PUT' && this.#refusal !== undefined) {
      this.#reply({ method, url, headers, body: Buffer.alloc(0) }, this.#refusal, response)
      return
    }
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    } catch {
      // The command went away in the middle: what came is recorded all the same.
    }
    const asked = { method, url, headers, body: Buffer.concat(chunks) }
    this.asked.push(asked)
    const answer = this.#answerTo(asked)
    if (answer === 'hang-up') request.socket.destroy()
    else if (answer === 'events') this.#stream(response)
    else this.#reply(asked, answer, response)
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  #answerTo(asked: Asked): Answer | 'hang-up' | 'events' {
    for (const handler of this.#handlers) {
      const answer = handler(asked)
      if (answer !== undefined) return answer
    }
    if (questionOf(asked) === 'GET /v1/events') return 'events'
    return { status: 404, body: { code: 'not-found', message: `there is no ${questionOf(asked)}` } }
  }

  #stream(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('retry: 1000\n\n')
    this.#streams.add(response)
    response.on('close', () => this.#streams.delete(response))
  }

  #reply(asked: Asked, answer: Answer, response: ServerResponse): void {
    const { status = 200, raw, body, headers = {} } = answer
    if (raw === undefined && body !== undefined) checkShape(asked, status, body)
    response.writeHead(status, {
      ...(raw === undefined ? { 'content-type': 'application/json; charset=utf-8' } : {}),
      ...headers,
    })
    response.end(raw ?? (body === undefined ? '' : JSON.stringify(body)))
  }
}

function checkShape(asked: Asked, status: number, body: unknown): void {
  const question = questionOf(asked)
  const schema =
    status >= 400 ? ErrorBody : schemas.find(([pattern]) => pattern.test(question))?.[1]
  if (schema === undefined) return
  const validator = Compile(schema)
  const [mistake] = validator.Errors(body)
  assert(validator.Check(body), `${question}: ${mistake?.instancePath} ${mistake?.message}`)
}

/** Without its query. */
function questionOf({ method, url }: Asked): string {
  return `${method} ${url.replace(/\?.*$/, '')}`
}
