// The tarball as it arrives: its bytes are kept as they are, for provenance, and passed on.

import type { Readable } from 'node:stream'
import { LockstepError } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import type { ContentWriter } from '../content/ports.ts'

/**
 * The chunks of `stream`. Whatever happens, the stream is left open and without a listener, so that
 * whoever owns the connection can still answer on it.
 * @throws the signal's reason when it is aborted; LockstepError `bad-archive` when the stream breaks.
 */
export async function* receive(stream: Readable, signal: AbortSignal): AsyncGenerator<Buffer> {
  for (;;) {
    signal.throwIfAborted()
    const chunk: unknown = stream.read()
    if (chunk !== null) yield asBuffer(chunk)
    else if (stream.readableEnded) return
    else if (stream.errored !== null || stream.destroyed) throw brokenOff(stream.errored)
    else await changed(stream, signal)
  }
}

/**
 * Passes on what it has written to the artifact.
 * @throws LockstepError `archive-too-large`.
 */
export async function* kept(
  chunks: AsyncIterable<Buffer>,
  artifact: ContentWriter,
): AsyncGenerator<Buffer> {
  let sizeBytes = 0
  for await (const chunk of chunks) {
    sizeBytes += chunk.length
    if (sizeBytes > limits.artifactBytesMax) {
      throw new LockstepError(
        'archive-too-large',
        `The tarball is over ${limits.artifactBytesMax} bytes`,
        { hint: 'Leave out what the servers do not need, or split the app.' },
      )
    }
    await artifact.write(chunk)
    yield chunk
  }
}

/** Done when `stream` has something to say, be it its end. */
function changed(stream: Readable, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const events = ['readable', 'end', 'error', 'close']
    const done = (): void => {
      for (const event of events) stream.off(event, done)
      signal.removeEventListener('abort', done)
      resolve()
    }
    for (const event of events) stream.on(event, done)
    signal.addEventListener('abort', done, { once: true })
  })
}

function asBuffer(chunk: unknown): Buffer {
  if (Buffer.isBuffer(chunk)) return chunk
  throw new TypeError('a tarball is read as bytes')
}

function brokenOff(cause: unknown): LockstepError {
  return new LockstepError('bad-archive', 'The upload of the tarball broke off', {
    hint: 'Publish it again.',
    cause,
  })
}
