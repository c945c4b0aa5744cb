// The join token's way to the agent: read from a file or from standard input, never from an argument,
// and laid into the agent's own state directory, where the agent removes it once it has enrolled.

import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { ensureDirectory, type Owner, writeFileDurably } from './durable-file.ts'
import { at, type Host, installed, services } from './host.ts'

/**
 * @param file a path, or `-` for `stdin`
 * @throws LockstepError `bad-usage` when there is no token in it
 */
export async function readJoinToken(file: string, stdin: Readable): Promise<string> {
  const source = file === '-' ? 'standard input' : file
  const text = await readStart(file === '-' ? stdin : createReadStream(file), source)
  if (text.length > limits.joinTokenBytesMax) throw unusable(source, 'is too long for a token')
  const token = text.trim()
  if (token === '') throw unusable(source, 'is empty')
  if (/[\s\p{Cc}]/u.test(token)) throw unusable(source, 'holds more than one word')
  return token
}

/** Lays the token where the agent's unit looks for it. */
export async function storeJoinToken(host: Host, token: string, owner: Owner): Promise<void> {
  await ensureDirectory(at(host, services.agent.stateDirectory), 0o700, owner)
  await writeFileDurably(at(host, installed.joinToken), {
    content: `${token}\n`,
    mode: 0o600,
    owner,
  })
}

/** Everything, or as much as shows that it is too much. */
async function readStart(stream: Readable, source: string): Promise<string> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  try {
    for await (const chunk of stream) {
      const bytes = Buffer.from(chunk)
      chunks.push(bytes)
      sizeBytes += bytes.length
      if (sizeBytes > limits.joinTokenBytesMax) break
    }
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    throw unusable(source, `cannot be read (${code})`)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function unusable(source: string, what: string): LockstepError {
  return new LockstepError('bad-usage', `the join token from ${source} ${what}`, {
    hint: 'Make one with `lockstep token create --join --app APP --env ENV`. Nothing was changed.',
  })
}
