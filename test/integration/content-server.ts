// A content server for tests of the agent: what the controller serves of trees, with ranges and
// strong ETags, and a place to put faults in.

import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { packOf, sha256Of, type TestRelease } from './test-release.ts'

export interface Served {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly path: string
  /** The whole representation; null where the server has none. */
  readonly body: Buffer | null
  readonly etag: string
  /** Answers as a sound server does. */
  readonly answer: (body?: Buffer) => void
}

/** What builders need of a test: somewhere to put things, and their end. */
export interface Scope {
  testdir(content: Record<string, never>): string
  teardown(action: () => unknown): unknown
}

/** Called in place of the sound answer. */
export type Fault = (served: Served) => void

export const token = 'content-token'

export class ContentServer {
  readonly #server: Server
  readonly #bodies = new Map<string, Buffer>()
  readonly #releases = new Map<string, TestRelease>()
  /** `GET path` with its range, in the order they came. */
  readonly requests: string[] = []
  fault: Fault | null = null
  /** Whether it answers without a token, as a mirror does. */
  isOpen = false

  private constructor() {
    this.#server = createServer((request, response) => this.#serve(request, response))
  }

  static async start(t: Scope, ...releases: TestRelease[]): Promise<ContentServer> {
    const server = new ContentServer()
    for (const release of releases) server.publish(release)
    server.#server.listen(0, '127.0.0.1')
    await once(server.#server, 'listening')
    t.teardown(() => server.stop())
    return server
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    if (!this.#server.listening) return
    this.#server.close()
    await once(this.#server, 'close')
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo
    return `http://127.0.0.1:${port}`
  }

  publish(release: TestRelease): void {
    this.#releases.set(release.tree, release)
    this.#bodies.set(`/v1/trees/${release.tree}/manifest`, Buffer.from(release.manifest))
  }

  /** Serves this body at this path, in place of the right one. */
  put(path: string, body: Buffer): void {
    this.#bodies.set(path, body)
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? ''
    const range = request.headers.range
    this.requests.push(range === undefined ? path : `${path} ${range}`)
    const body = this.#bodyOf(path)
    const etag = body === null ? '' : `"${sha256Of(body)}"`
    const mayRead = this.isOpen || request.headers.authorization === `Bearer ${token}`
    const answer = (given = body): void => {
      if (mayRead) answerSoundly(request, response, given, etag)
      else response.writeHead(401).end()
    }
    const served = { request, response, path, body, etag, answer }
    if (this.fault === null) answer()
    else this.fault(served)
  }

  #bodyOf(path: string): Buffer | null {
    const known = this.#bodies.get(path)
    if (known !== undefined) return known
    const [, tree = '', from] =
      /^\/v1\/trees\/([0-9a-f]{64})\/pack(?:\?from=(.*))?$/.exec(path) ?? []
    const release = this.#releases.get(tree)
    const base = from === undefined ? null : this.#releases.get(from)
    if (release === undefined || base === undefined) return null
    const pack = packOf(release, base)
    this.#bodies.set(path, pack)
    return pack
  }
}

function answerSoundly(
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer | null,
  etag: string,
): void {
  if (body === null) {
    response.writeHead(404).end()
    return
  }
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
  const isRange = start > 0 && request.headers['if-range'] === etag
  response.writeHead(isRange ? 206 : 200, {
    'etag': etag,
    'accept-ranges': 'bytes',
    'content-length': body.length - (isRange ? start : 0),
    ...(isRange ? { 'content-range': `bytes ${start}-${body.length - 1}/${body.length}` } : {}),
  })
  response.end(isRange ? body.subarray(start) : body)
}
