// One upgrade to the agents' channel: a challenge, a signature over it, a WebSocket. Begins no session.

import { randomBytes } from 'node:crypto'
import { WebSocket } from 'ws'
import type { Clock } from '#shared/clock.ts'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { formatUpgradeAuthorization, upgradeBytes } from '#shared/wire/challenge.ts'
import { askForChallenge } from './challenge.ts'
import type { ControllerChannel } from './controller-channel.ts'
import type { Identity } from './identity.ts'
import { refusalOf } from './json-request.ts'
import { parseJson } from '#shared/json-text.ts'

export interface Dialling {
  readonly channel: ControllerChannel
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
  const { channel, identity, clock, signal } = dialling
  const { nonce, controller } = await askForChallenge(channel, identity, signal)
  const { socket: connection, exporter } = await channel.connect(signal)
  const { host } = identity
  const clientNonce = randomBytes(24).toString('base64url')
  const upgrade = { controller, host, nonce, clientNonce, exporter }
  const signature = identity.sign(upgradeBytes(upgrade))
  // Not in one literal: the types of ws do not know `closeTimeout` yet.
  const options = {
    headers: { authorization: formatUpgradeAuthorization({ ...upgrade, signature }) },
    maxPayload: limits.messageBytesMax,
    perMessageDeflate: false,
    handshakeTimeout: limits.silenceMaxMs,
    closeTimeout: limits.closeWaitMs,
    followRedirects: false,
    // The one that the signature is over.
    createConnection: () => connection,
  }
  if (signal.aborted) {
    connection.destroy()
    throw givenUp()
  }
  const socket = new WebSocket(`${channel.url.replace(/^http/, 'ws')}/v1/agent`, options)
  const giveUp = () => socket.terminate()
  signal.addEventListener('abort', giveUp, { once: true })
  try {
    await opened(socket, channel.url, clock)
  } finally {
    signal.removeEventListener('abort', giveUp)
  }
  // Given up just as it opened: no session may begin that nobody would end.
  if (!signal.aborted) return socket
  socket.terminate()
  throw givenUp()
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
