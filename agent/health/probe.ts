// One probe of what runs on this host: an HTTP request or a connection. Nothing is followed, kept
// or believed beyond the one answer.

import { type IncomingMessage, request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import { systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import type { TcpTarget, UrlTarget } from '../config-health.ts'
import type { ProbeResult } from './probe-window.ts'

/** Never rejects. Passes when something takes the connection. */
export function probeTcp(target: TcpTarget, signal: AbortSignal): Promise<ProbeResult> {
  const { promise, resolve } = Promise.withResolvers<ProbeResult>()
  const where = `${target.address}:${target.port}`
  if (signal.aborted) return Promise.resolve(givenUp(where))
  const socket = connect({ host: target.address, port: target.port })
  const stop = (): void => resolve(givenUp(where))
  signal.addEventListener('abort', stop, { once: true })
  socket.once('connect', () => resolve({ kind: 'passed' }))
  socket.on('error', (error) => resolve(refused(where, error)))
  return promise.finally(() => {
    signal.removeEventListener('abort', stop)
    socket.destroy()
  })
}

/** Never rejects. No redirect is followed; of the body no more is read than is looked at. */
export function probeUrl(target: UrlTarget, signal: AbortSignal): Promise<ProbeResult> {
  const { promise, resolve } = Promise.withResolvers<ProbeResult>()
  const { url, host } = target
  const options = {
    // A connection of its own: one that was kept would lead to what ran before.
    agent: false,
    signal,
    headers: { 'user-agent': 'lockstep', 'accept': '*/*', ...(host === null ? {} : { host }) },
  }
  const take = (answer: IncomingMessage): void => {
    answer.on('error', (error) => resolve(refused(url, error)))
    void judge(target, answer).then((result) => {
      answer.destroy()
      resolve(result)
    })
  }
  const request = url.startsWith('https:')
    ? httpsRequest(
        url,
        {
          ...options,
          // This host says something about itself and is told nothing: there is nothing to protect,
          // and a certificate is never for a loopback address.
          rejectUnauthorized: false,
          ...(host === null ? {} : { servername: host }),
        },
        take,
      )
    : httpRequest(url, options, take)
  request.on('error', (error) => resolve(refused(url, error)))
  request.end()
  return promise
}

async function judge(target: UrlTarget, answer: IncomingMessage): Promise<ProbeResult> {
  const { url, statuses, body } = target
  const status = answer.statusCode ?? 0
  const isGood = statuses === null ? status >= 200 && status <= 299 : statuses.includes(status)
  if (!isGood) {
    const where = answer.headers.location
    const to = where === undefined ? '' : ` to ${where.slice(0, 200)}, which is not followed`
    return { kind: 'failed', reason: `${url} answered ${status}${to}` }
  }
  if (body === null) return { kind: 'passed' }
  const text = await textOf(answer)
  if (text.includes(body)) return { kind: 'passed' }
  const within = `within its first ${limits.probeBodyBytesMax / 1024} KiB`
  return { kind: 'failed', reason: `${url} answered ${status} without "${body}" ${within}` }
}

/** As much of it as came before the end, the limit, or the end of the connection. */
async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const chunk of answer as AsyncIterable<Uint8Array>) {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes >= limits.probeBodyBytesMax) break
    }
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error
  }
  return Buffer.concat(chunks).subarray(0, limits.probeBodyBytesMax).toString('utf8')
}

function refused(where: string, error: Error): ProbeResult {
  if (error.name === 'AbortError') return givenUp(where)
  return { kind: 'failed', reason: `${where}: ${systemCodeOf(error) ?? error.message}` }
}

function givenUp(where: string): ProbeResult {
  return { kind: 'failed', reason: `${where} was given up` }
}
