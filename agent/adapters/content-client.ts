// The agent's way to content: manifests and packs by tree digest, from the one configured
// controller. Owns requests, stalls and resuming; judges no content. docs/protocol.md, "Content".

import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, type Dispatcher } from 'undici'
import { backoffDelayMs } from '#shared/backoff.ts'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import type { TlsTrust } from '../link/controller-channel.ts'
import { limits } from '#shared/limits.ts'
import type { Release } from '#shared/release.ts'

export interface ContentAccess {
  /** Origin and path prefix, without a slash at the end. */
  readonly controllerUrl: string
  readonly token: string
  /** By which the controller is known, and nobody else. */
  readonly tls: TlsTrust
  /** Origins that the host's owner lets content come from when the controller points to them. */
  readonly redirects: readonly string[]
}

export interface ContentPatience {
  /** A connection or stream without a byte for this long is given up and made again. */
  readonly stallMs: number
  /** Until an answer begins. */
  readonly firstByteMs: number
  /** Tries in a row that bring less than `resumeProgressBytes`. */
  readonly resumesMax: number
  readonly resumeProgressBytes: number
  readonly retryMinMs: number
  readonly retryMaxMs: number
}

/** The pack cannot be resumed where it broke off: it has to be read from its beginning again. */
export class PackRestart extends Error {
  override readonly name = 'PackRestart'
}

/** What may pass by itself: the same request is made again. */
class Interruption extends Error {
  override readonly name = 'Interruption'
  readonly code: 'stalled' | 'fetch-failed'

  constructor(code: 'stalled' | 'fetch-failed', message: string, cause?: unknown) {
    super(message, { cause })
    this.code = code
  }
}

const stallCodes = ['UND_ERR_BODY_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_CONNECT_TIMEOUT']
const strongTagPattern = /^"[^"]*"$/
const redirectStatuses = [301, 302, 303, 307, 308]

export class ContentClient {
  readonly #access: ContentAccess
  readonly #patience: ContentPatience
  readonly #dispatcher: Agent
  /** For origins that the controller redirects to: they are known by what the system trusts. */
  readonly #elsewhere: Agent
  /** How often a stream was taken up again, over the client's life. */
  resumes = 0
  /** Bytes of packs as they came over the wire. */
  receivedBytes = 0

  constructor(access: ContentAccess, patience: ContentPatience) {
    this.#access = access
    this.#patience = patience
    this.#dispatcher = dispatcherOf(patience, access.tls)
    this.#elsewhere = dispatcherOf(patience, {})
  }

  async close(): Promise<void> {
    await Promise.all([this.#dispatcher.destroy(), this.#elsewhere.destroy()])
  }

  /**
   * @param bytesMax more is refused before it is in memory
   * @throws LockstepError `unauthorised`, `unknown-tree`, `stalled`, `fetch-failed`, `too-large`
   */
  async manifest(tree: string, bytesMax: number): Promise<Buffer> {
    return this.#patiently(`/v1/trees/${tree}/manifest`, bytesMax)
  }

  /**
   * The envelope of a release's signed statement.
   * @throws LockstepError as `manifest`; `unknown-tree` when there is none
   */
  async statement(app: string, { version, tree }: Release): Promise<Buffer> {
    const path = `/v1/trees/${tree}/statements/${app}/${encodeURIComponent(version)}`
    return this.#patiently(path, limits.envelopeBytesMax)
  }

  /**
   * The bytes of a pack, taken up where they broke off as long as the server still has the same.
   * @param from the tree that the delta is against; null for the full pack
   * @throws LockstepError as `manifest`; PackRestart when the server no longer has the same bytes
   */
  async *pack(tree: string, from: string | null): AsyncGenerator<Uint8Array, void> {
    const path = `/v1/trees/${tree}/pack${from === null ? '' : `?from=${from}`}`
    const attempts = new Attempts(this.#patience)
    const position: Position = { bytes: 0, tag: null }
    for (;;) {
      try {
        for await (const chunk of this.#rest(path, position)) {
          position.bytes += chunk.length
          this.receivedBytes += chunk.length
          yield chunk
        }
        return
      } catch (error) {
        await attempts.after(error, position.bytes)
        if (position.bytes > 0 && position.tag === null) {
          throw new PackRestart('the server gave the pack no strong ETag', { cause: error })
        }
        this.resumes += 1
      }
    }
  }

  async #patiently(path: string, bytesMax: number): Promise<Buffer> {
    const attempts = new Attempts(this.#patience)
    for (;;) {
      try {
        return await this.#whole(path, bytesMax)
      } catch (error) {
        await attempts.after(error, 0)
      }
    }
  }

  async #whole(path: string, bytesMax: number): Promise<Buffer> {
    const response = await this.#get(path, {})
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of this.#bodyOf(response)) {
      bytes += chunk.length
      if (bytes > bytesMax) {
        throw new LockstepError('too-large', `${path} is over ${bytesMax} bytes`, {
          hint: 'No release has such a manifest; see what answers at the controller’s address.',
        })
      }
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  }

  /** The body from `position` on; notes the tag under which it may be resumed. */
  async *#rest(path: string, position: Position): AsyncGenerator<Buffer, void> {
    const { bytes, tag } = position
    const isResumed = bytes > 0 && tag !== null
    const response = await this.#get(
      path,
      isResumed ? { 'range': `bytes=${bytes}-`, 'if-range': tag } : {},
    )
    const found = textOf(response.headers['etag'])
    if (isResumed && response.statusCode === 200 && found !== tag) {
      response.body.destroy()
      throw new PackRestart('the server has other bytes for the pack by now')
    }
    if (response.statusCode === 206 && !startsAt(response, isResumed ? bytes : -1)) {
      response.body.destroy()
      throw new PackRestart('the server answered with another range than was asked for')
    }
    position.tag = found !== null && strongTagPattern.test(found) ? found : null
    // A server without ranges sends all of it again, and what was read is passed over.
    let skipBytes = isResumed && response.statusCode === 200 ? bytes : 0
    for await (const chunk of this.#bodyOf(response)) {
      const skipped = Math.min(skipBytes, chunk.length)
      skipBytes -= skipped
      if (skipped < chunk.length) yield chunk.subarray(skipped)
    }
  }

  async #get(path: string, headers: Record<string, string>): Promise<Dispatcher.ResponseData> {
    let url = new URL(`${this.#access.controllerUrl}${path}`)
    for (let redirects = 0; ; redirects += 1) {
      const response = await this.#ask(path, url, headers)
      const { statusCode } = response
      if (statusCode === 200 || statusCode === 206) return response
      // The connection is given up with the answer: its body may be anything, and endless.
      response.body.on('error', () => undefined).destroy()
      if (!redirectStatuses.includes(statusCode)) throw refusalOf(path, statusCode)
      if (redirects >= limits.redirectsMax) throw strayRedirect(path, 'again and again')
      url = this.#target(path, url, textOf(response.headers['location']) ?? '')
    }
  }

  async #ask(
    path: string,
    url: URL,
    headers: Record<string, string>,
  ): Promise<Dispatcher.ResponseData> {
    const { controllerUrl, token } = this.#access
    // Nobody but the controller is shown what opens the controller.
    const isController = url.origin === new URL(controllerUrl).origin
    const authorization = isController ? { authorization: `Bearer ${token}` } : {}
    const dispatcher = isController ? this.#dispatcher : this.#elsewhere
    return interrupted(path, () =>
      dispatcher.request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method: 'GET',
        headers: { ...headers, ...authorization },
      }),
    )
  }

  /** @throws LockstepError `fetch-failed` for an origin that the host's owner has not named */
  #target(path: string, from: URL, location: string): URL {
    const { controllerUrl, redirects } = this.#access
    const target = URL.canParse(location, from.href) ? new URL(location, from) : null
    if (target === null) throw strayRedirect(path, 'to what is no address')
    const origins = [new URL(controllerUrl).origin, ...redirects]
    if (origins.includes(target.origin)) return target
    throw strayRedirect(path, `to ${target.origin}`)
  }

  async *#bodyOf(response: Dispatcher.ResponseData): AsyncGenerator<Buffer, void> {
    const chunks = response.body[Symbol.asyncIterator]()
    try {
      for (;;) {
        const next = await interrupted('the stream', async () => chunks.next())
        if (next.done === true) return
        yield next.value as Buffer
      }
    } finally {
      response.body.on('error', () => undefined).destroy()
    }
  }
}

function dispatcherOf(patience: ContentPatience, tls: TlsTrust): Agent {
  return new Agent({
    connections: 1,
    allowH2: false,
    connect: { ...tls, timeout: patience.stallMs },
    headersTimeout: patience.firstByteMs,
    bodyTimeout: patience.stallMs,
  })
}

interface Position {
  bytes: number
  tag: string | null
}

/** Counts tries in a row that came to little, and waits before the next. */
class Attempts {
  readonly #patience: ContentPatience
  #count = 0
  #bytesBefore = 0

  constructor(patience: ContentPatience) {
    this.#patience = patience
  }

  /** Waits, or throws when `error` is none that passes, or there were enough of them. */
  async after(error: unknown, bytes: number): Promise<void> {
    if (!(error instanceof Interruption)) throw error
    const { resumesMax, resumeProgressBytes, retryMinMs, retryMaxMs } = this.#patience
    if (bytes - this.#bytesBefore >= resumeProgressBytes) this.#count = 0
    this.#bytesBefore = bytes
    if (this.#count >= resumesMax) {
      throw new LockstepError(error.code, `${error.message}; given up after ${resumesMax} tries`, {
        hint: 'The agent tries again later; see the network between host and controller.',
        details: { receivedBytes: bytes },
        cause: error,
      })
    }
    const bounds = { minMs: retryMinMs, maxMs: retryMaxMs }
    await sleep(backoffDelayMs(this.#count, Math.random(), bounds))
    this.#count += 1
  }
}

/** Makes Interruptions of what a connection can fail of; everything else is a fault of ours. */
async function interrupted<Value>(what: string, action: () => Promise<Value>): Promise<Value> {
  try {
    return await action()
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined || error instanceof LockstepError) throw error
    const isStall = stallCodes.includes(code)
    throw isStall
      ? new Interruption('stalled', `No byte of ${what} came in time`, error)
      : new Interruption('fetch-failed', `Fetching ${what} failed (${code})`, error)
  }
}

function refusalOf(path: string, status: number): Error {
  if (status === 429 || status >= 500) {
    return new Interruption('fetch-failed', `The controller answered ${status} to ${path}`)
  }
  // All bytes were there when the stream broke off, or they are others by now.
  if (status === 416) return new PackRestart('the server has nothing at that range')
  const details = { path, status }
  if (status === 403) {
    return new LockstepError('not-told', `The controller refused ${path} (${status})`, {
      hint: 'Nothing that this host is told now names it; the agent asks anew when that changes.',
      details,
    })
  }
  if (status === 401) {
    return new LockstepError('unauthorised', `The controller refused ${path} (${status})`, {
      hint: 'The agent gets a new content token with its next session.',
      details,
    })
  }
  if (status === 404) {
    return new LockstepError('unknown-tree', `The controller has no ${path}`, {
      hint: 'The release was removed there, or the address is not the controller’s.',
      details,
    })
  }
  return new LockstepError('fetch-failed', `The controller answered ${status} to ${path}`, {
    hint: 'See what answers at the controller’s address.',
    details,
  })
}

function strayRedirect(path: string, how: string): LockstepError {
  return new LockstepError('fetch-failed', `The controller redirects ${path} ${how}`, {
    hint: 'Content comes from `controller` and the origins in `redirects` of agent.toml only.',
    details: { path },
  })
}

function startsAt(response: Dispatcher.ResponseData, bytes: number): boolean {
  const range = textOf(response.headers['content-range']) ?? ''
  return range.startsWith(`bytes ${bytes}-`)
}

function textOf(header: string | string[] | undefined): string | null {
  return typeof header === 'string' ? header : null
}
