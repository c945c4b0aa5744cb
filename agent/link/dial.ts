// One upgrade to the agents' channel: a challenge, a signature over it, a WebSocket. Begins no session.

import { Value } from 'typebox/value'
import { WebSocket } from 'ws'
import { ChallengeAnswer } from '#shared/api/enrolment.ts'
import type { Clock } from '#shared/clock.ts'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { formatUpgradeAuthorization, upgradeBytes } from '#shared/wire/challenge.ts'
import type { Identity } from './identity.ts'
import { refusalOf, requestJson } from './json-request.ts'
import { parseJson } from '#shared/json-text.ts'

export interface Dialling {
  readonly controllerUrl: string
  readonly identity: Identity
  readonly clock: Clock
  /** Gives up when it is aborted, whatever is waited for. */
  readonly signal: AbortSignal
}

/**
 * @returns an open socket, to which nobody listens yet
 * @throws LockstepError `unreachable`, or why the controller refused
 */
export async function dial(dialling: Dialling): Promise<WebSocket> {
  const { controllerUrl, identity, clock, signal } = dialling
  const { nonce, controller } = await challengeOf(dialling)
  const { host } = identity
  const signature = identity.sign(upgradeBytes(controller, host, nonce))
  // Not in one literal: the types of ws do not know `closeTimeout` yet.
  const options = {
    headers: { authorization: formatUpgradeAuthorization({ host, nonce, signature }) },
    maxPayload: limits.messageBytesMax,
    perMessageDeflate: false,
    handshakeTimeout: limits.silenceMaxMs,
    closeTimeout: limits.closeWaitMs,
    followRedirects: false,
  }
  if (signal.aborted) throw givenUp()
  const socket = new WebSocket(`${controllerUrl.replace(/^http/, 'ws')}/v1/agent`, options)
  const giveUp = () => socket.terminate()
  signal.addEventListener('abort', giveUp, { once: true })
  try {
    await opened(socket, controllerUrl, clock)
  } finally {
    signal.removeEventListener('abort', giveUp)
  }
  // Given up just as it opened: no session may begin that nobody would end.
  if (!signal.aborted) return socket
  socket.terminate()
  throw givenUp()
}

async function challengeOf(dialling: Dialling): Promise<ChallengeAnswer> {
  const { controllerUrl, identity, signal } = dialling
  const path = '/v1/agent/challenge'
  const answer = await requestJson(controllerUrl, { method: 'GET', path, signal })
  if (!Value.Check(ChallengeAnswer, answer)) {
    throw new LockstepError('unreachable', `${controllerUrl} is no Lockstep controller`, {
      hint: 'Look at `controller` in agent.toml.',
    })
  }
  if (answer.controller === identity.controller) return answer
  throw new LockstepError('unreachable', `${controllerUrl} is another controller than we joined`, {
    hint:
      'Look at `controller` in agent.toml. To join this one: stop the agent, remove ' +
      'identity.json from its state directory and start it with a join token.',
  })
}

/** @throws LockstepError with the controller's own words where it answered without upgrading. */
async function opened(socket: WebSocket, controllerUrl: string, clock: Clock): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  socket.once('open', () => resolve())
  socket.once('error', (error) =>
    reject(
      new LockstepError('unreachable', `cannot connect to ${controllerUrl}: ${error.message}`, {
        cause: error,
      }),
    ),
  )
  socket.once('unexpected-response', (_request, response) => {
    let body = ''
    const cancel = clock.timer(clock.now() + limits.silenceMaxMs, () => response.destroy())
    response.setEncoding('utf8')
    response.on('error', () => undefined)
    response.on('data', (text: string) => {
      body += text
      if (body.length > limits.messageBytesMax) response.destroy()
    })
    response.once('close', () => {
      cancel()
      reject(
        refusalOf(parseJson(body)) ??
          new LockstepError('unreachable', `${controllerUrl} answered ${response.statusCode}`),
      )
      socket.terminate()
    })
  })
  return promise
}

function givenUp(): LockstepError {
  return new LockstepError('unreachable', 'the agent is stopping')
}
