// One HTTP request and its whole answer. Knows nothing of what is asked; says in what way the other side
// cannot be reached. Node's own client, because an answer must be read while a body is still being sent.

import http from 'node:http'
import https from 'node:https'
import type { Readable } from 'node:stream'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { isLoopback } from '#shared/loopback.ts'
import type { Environment } from '../connection.ts'
import type { ServerTrust } from '../server-trust.ts'
import { pinnedCertificate } from './pinned-certificate.ts'
import { unreachable } from './unreachable.ts'

export interface RequestOptions {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | Upload | undefined
  readonly signal?: AbortSignal | undefined
  readonly trust: ServerTrust
  /** Names the proxies, if any. */
  readonly env: Environment
  /** How long nothing may be heard and nothing be sent. */
  readonly silenceMs: number
}

export interface Upload {
  readonly stream: Readable
  /** Unknown for a pipe. */
  readonly sizeBytes: number | undefined
  readonly onSent?: ((sentBytes: number) => void) | undefined
}

export interface Reply {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly text: string
}

/**
 * @throws LockstepError `unreachable`; `too-large` for an endless answer; what the upload's stream
 *   throws; the signal's reason
 */
export async function exchange(options: RequestOptions): Promise<Reply> {
  const { status, headers, message, close } = await open(options)
  const chunks: Buffer[] = []
  let sizeBytes = 0
  try {
    for await (const chunk of message as AsyncIterable<Buffer>) {
      sizeBytes += chunk.length
      if (sizeBytes > limits.answerBytesMax) {
        throw new LockstepError('too-large', `the answer of ${options.url} does not end`, {
          hint: 'Is it a Lockstep controller? Check LOCKSTEP_URL.',
        })
      }
      chunks.push(chunk)
    }
  } catch (error) {
    throw failure(error, options)
  } finally {
    close()
  }
  return { status, headers, text: Buffer.concat(chunks).toString('utf8') }
}

interface Opened extends Omit<Reply, 'text'> {
  readonly message: http.IncomingMessage
  /** Ends the connection, whatever is still under way on it. */
  readonly close: () => void
}

/** The head of the answer, its body still to be read. @throws as `exchange` */
export async function open(options: RequestOptions): Promise<Opened> {
  const authority = await authorityFor(options)
  const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>()
  const { request } = isSecure(options) ? https : http
  const agent = agentFor(options, authority)
  const outgoing = request(options.url, {
    method: options.method,
    headers: { ...options.headers, ...bodyHeaders(options.body) },
    signal: options.signal,
    // Counts from the first moment on, so that it holds for connecting too.
    timeout: options.silenceMs,
    agent,
  })
  outgoing.on('timeout', () => outgoing.destroy(silence(options.silenceMs)))
  outgoing.on('response', (message) => {
    outgoing.on('timeout', () => message.destroy(silence(options.silenceMs)))
    resolve(message)
  })
  // After the answer has begun, errors of sending the rest are of no interest.
  outgoing.on('error', reject)
  send(outgoing, options.body, reject)
  try {
    const message = await promise
    const close = () => {
      outgoing.destroy()
      agent.destroy()
    }
    return { status: message.statusCode ?? 0, headers: message.headers, message, close }
  } catch (error) {
    outgoing.destroy()
    throw failure(error, options)
  }
}

/**
 * A connection of its own for every request: none that broke unseen is ever used again. An upload says that
 * it would keep its connection, so that a refusal is not cut off with what was not read of it.
 */
function agentFor(request: RequestOptions, authority?: string): http.Agent {
  const { url, body, env } = request
  const keepAlive = body !== undefined && typeof body !== 'string'
  // No proxy can reach this machine itself for us.
  const options = { keepAlive, ...(isLoopback(new URL(url).hostname) ? {} : { proxyEnv: env }) }
  if (!isSecure(request)) return new http.Agent(options)
  // An authority that is named is trusted as it is, whoever may have signed its own certificate.
  const trust = authority === undefined ? {} : { ca: authority, allowPartialTrustChain: true }
  return new https.Agent({ ...options, ...trust })
}

/** What the controller's certificate has to be signed by; undefined for anybody's authorities. */
async function authorityFor(options: RequestOptions): Promise<string | undefined> {
  const { trust, url, signal, silenceMs, body } = options
  if (!isSecure(options) || trust.kind === 'public') return undefined
  if (trust.kind === 'authority') return trust.certificates
  const agent = agentFor(options)
  // A tarball that cannot be read fails meanwhile, and is asked about it when it is sent.
  if (typeof body === 'object') body.stream.on('error', () => undefined)
  try {
    return await pinnedCertificate(url, trust.pins, { agent, signal, timeout: silenceMs })
  } catch (error) {
    throw failure(error, options)
  } finally {
    agent.destroy()
  }
}

function isSecure({ url }: RequestOptions): boolean {
  return new URL(url).protocol === 'https:'
}

function bodyHeaders(body: RequestOptions['body']): Record<string, string> {
  if (body === undefined) return {}
  if (typeof body === 'string') {
    return {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(body)),
    }
  }
  return {
    'content-type': 'application/octet-stream',
    ...(body.sizeBytes === undefined ? {} : { 'content-length': String(body.sizeBytes) }),
  }
}

/** A refusal may come before everything is sent: then the rest stays unsent. */
function send(
  outgoing: http.ClientRequest,
  body: RequestOptions['body'],
  onError: (error: Error) => void,
): void {
  if (body === undefined || typeof body === 'string') {
    outgoing.end(body)
    return
  }
  const { stream, sizeBytes } = body
  let sentBytes = 0
  stream.on('data', (chunk: Buffer) => {
    sentBytes += chunk.length
    body.onSent?.(sentBytes)
  })
  if (stream.errored !== null) onError(unreadable(stream.errored))
  stream.on('error', (error) => onError(unreadable(error)))
  stream.on('end', () => {
    if (sizeBytes !== undefined && sentBytes < sizeBytes) onError(shortened())
  })
  outgoing.on('response', () => stream.unpipe(outgoing).destroy())
  outgoing.on('error', () => stream.unpipe(outgoing).destroy())
  stream.pipe(outgoing)
}

function silence(silenceMs: number): Error {
  return Object.assign(new Error(`no answer for ${silenceMs / 1000} s`), { code: 'ETIMEDOUT' })
}

function unreadable(cause: Error): LockstepError {
  return new LockstepError('disk-error', `the tarball cannot be read: ${cause.message}`, { cause })
}

function shortened(): LockstepError {
  return new LockstepError('bad-archive', 'the tarball became shorter while it was sent', {
    hint: 'Publish it again when nothing writes to it any more. Nothing was published.',
  })
}

/** What the upload's stream or the caller's signal says is theirs; the rest is the connection's. */
function failure(error: unknown, options: RequestOptions): unknown {
  if (options.signal?.aborted === true) return options.signal.reason
  return unreachable(error, options.url)
}
