// One small JSON request to the controller. Follows no redirect: the agent talks to the one origin
// of its configuration.

import { type IncomingHttpHeaders, type IncomingMessage, request as ask } from 'node:http'
import { isErrorCode, LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { parseJson } from '#shared/json-text.ts'
import type { ControllerChannel } from './controller-channel.ts'

interface Call {
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** Made for the very connection that it is sent on. @param exporter see ControllerChannel */
  readonly body?: (exporter: string) => unknown
  /** Gives up when it is aborted. */
  readonly signal?: AbortSignal
}

interface Exchanged {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/**
 * @throws LockstepError `unreachable`, `wrong-pin`, or the controller's own error
 */
export async function requestJson(channel: ControllerChannel, call: Call): Promise<unknown> {
  const answer = await exchange(channel, call)
  const value = parseJson(answer.body)
  if (answer.status >= 200 && answer.status < 300 && value !== null) return value
  const why = `it answered ${answer.status} and no error of ours`
  throw refusalOf(value) ?? unreachable(channel.url, why)
}

/** The controller's error in a body, or null when that is no such thing. */
export function refusalOf(value: unknown): LockstepError | null {
  if (typeof value !== 'object' || value === null) return null
  if (!('code' in value) || !('message' in value)) return null
  const { code, message } = value
  if (typeof code !== 'string' || typeof message !== 'string' || !isErrorCode(code)) return null
  const hint = 'hint' in value && typeof value.hint === 'string' ? value.hint : undefined
  return new LockstepError(code, message, hint === undefined ? {} : { hint })
}

/**
 * One request on a connection of its own, whatever the answer.
 * @throws LockstepError `unreachable`, `wrong-pin`
 */
export async function exchange(channel: ControllerChannel, call: Call): Promise<Exchanged> {
  const url = new URL(`${channel.url}${call.path}`)
  const timeout = AbortSignal.timeout(limits.silenceMaxMs)
  const signal = call.signal === undefined ? timeout : AbortSignal.any([timeout, call.signal])
  const { socket, exporter } = await channel.connect(signal)
  const body = call.body === undefined ? undefined : JSON.stringify(call.body(exporter))
  const { promise, resolve, reject } = Promise.withResolvers<Exchanged>()
  const request = ask(
    {
      method: call.method,
      path: `${url.pathname}${url.search}`,
      headers: {
        host: url.host,
        connection: 'close',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      signal,
      createConnection: () => socket,
    },
    (response) => {
      const { statusCode: status = 0, headers } = response
      read(response).then((text) => resolve({ status, headers, body: text }), reject)
    },
  )
  request.on('error', reject)
  request.end(body)
  try {
    return await promise
  } catch (error) {
    throw unreachable(channel.url, error instanceof Error ? error.message : String(error), error)
  } finally {
    socket.destroy()
  }
}

/** No answer of a controller to an agent is larger; what is none of ours might never end. */
async function read(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  let sizeBytes = 0
  for await (const part of response) {
    parts.push(part)
    sizeBytes += part.length
    if (sizeBytes > limits.messageBytesMax) {
      throw new Error(`its answer is over ${limits.messageBytesMax} bytes`)
    }
  }
  return Buffer.concat(parts).toString('utf8')
}

function unreachable(base: string, why: string, cause?: unknown): LockstepError {
  return new LockstepError('unreachable', `the controller at ${base} does not answer: ${why}`, {
    hint: 'The agent keeps trying. Look at `controller` in agent.toml and at the network.',
    cause,
  })
}
