// One small JSON request to the controller. Follows no redirect: the agent talks to the one origin
// of its configuration.

import { type IncomingMessage, request as plain } from 'node:http'
import { request as secure } from 'node:https'
import { isErrorCode, LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { parseJson } from '#shared/json-text.ts'

interface Call {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: unknown
  /** Gives up when it is aborted. */
  readonly signal?: AbortSignal
}

/**
 * @param base origin and path prefix, without a slash at the end
 * @throws LockstepError `unreachable`, or the controller's own error
 */
export async function requestJson(base: string, call: Call): Promise<unknown> {
  const answer = await send(base, call)
  const value = parseJson(answer.body)
  if (answer.status >= 200 && answer.status < 300 && value !== null) return value
  throw refusalOf(value) ?? unreachable(base, `it answered ${answer.status} and no error of ours`)
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

async function send(base: string, call: Call): Promise<{ status: number; body: string }> {
  const url = new URL(`${base}${call.path}`)
  const body = call.body === undefined ? undefined : JSON.stringify(call.body)
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>()
  const timeout = AbortSignal.timeout(limits.silenceMaxMs)
  const open = url.protocol === 'https:' ? secure : plain
  const request = open(
    url,
    {
      method: call.method,
      headers: body === undefined ? {} : { 'content-type': 'application/json' },
      signal: call.signal === undefined ? timeout : AbortSignal.any([timeout, call.signal]),
    },
    (response) => {
      read(response).then(
        (text) => resolve({ status: response.statusCode ?? 0, body: text }),
        reject,
      )
    },
  )
  request.on('error', reject)
  request.end(body)
  try {
    return await promise
  } catch (error) {
    throw unreachable(base, error instanceof Error ? error.message : String(error), error)
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
