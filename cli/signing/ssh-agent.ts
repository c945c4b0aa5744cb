// Lets an ssh-agent sign: one request over its socket, for a key that never leaves it.
// https://datatracker.ietf.org/doc/draft-ietf-sshm-ssh-agent/, sections 3 and 4.6.

import { connect, type Socket } from 'node:net'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { keyAlgorithm, type PublicKey, wireOf } from '#shared/trust/public-key.ts'
import { SshReader, sshString } from '#shared/trust/ssh-wire.ts'
import { cannotSign } from './private-key.ts'

const failure = 5
const signRequest = 13
const signResponse = 14

/**
 * @param socketPath the value of SSH_AUTH_SOCK
 * @returns 64 bytes, RFC 8032
 * @throws LockstepError `cannot-sign` when the agent does not answer, or not with a signature
 */
export async function signByAgent(
  socketPath: string,
  key: PublicKey,
  bytes: Uint8Array,
): Promise<Uint8Array> {
  const flags = Buffer.alloc(4)
  const asked = [Buffer.from([signRequest]), sshString(wireOf(key.raw)), sshString(bytes), flags]
  const answer = new SshReader(await ask(socketPath, Buffer.concat(asked)))
  const type = answer.bytes(1)?.[0]
  if (type === failure) {
    throw cannotSign(
      `${key.id} is not held by the ssh-agent, or nobody let it sign`,
      'Give it the key with ssh-add; `ssh-add -l` lists what it holds.',
    )
  }
  const blob = answer.string()
  if (type !== signResponse || blob === null || !answer.isAtEnd) throw noSignature()
  const reader = new SshReader(blob)
  const algorithm = reader.text()
  const signature = reader.string()
  if (algorithm !== keyAlgorithm || signature?.length !== 64) throw noSignature()
  return signature
}

/** The one answer, without its length. */
async function ask(socketPath: string, request: Uint8Array): Promise<Buffer> {
  const socket = connect({ path: socketPath })
  socket.setTimeout(limits.sshAgentTimeoutMs, () => socket.destroy(cannotSign('was not answered')))
  try {
    socket.write(sshString(request))
    return await answerOf(socket)
  } catch (error) {
    const code = systemCodeOf(error)
    if (error instanceof LockstepError || code === undefined) throw error
    throw cannotSign(
      `cannot be used: the ssh-agent does not answer (${code})`,
      'SSH_AUTH_SOCK names its socket; start one with: eval "$(ssh-agent)", then ssh-add KEY.',
    )
  } finally {
    socket.destroy()
  }
}

async function answerOf(socket: Socket): Promise<Buffer> {
  let seen = Buffer.alloc(0)
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    seen = Buffer.concat([seen, chunk])
    if (seen.length < 4) continue
    const lengthBytes = seen.readUInt32BE()
    if (lengthBytes > limits.sshAgentAnswerBytesMax) throw noSignature()
    if (seen.length >= 4 + lengthBytes) return seen.subarray(4, 4 + lengthBytes)
  }
  throw noSignature()
}

function noSignature(): Error {
  return cannotSign('cannot be used: the ssh-agent answers with something else than a signature')
}
