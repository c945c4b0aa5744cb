// Reads a tarball along while it is sent, so that what is known of it is known of the very bytes that
// went out. Sending goes no faster than reading; a tarball that cannot be read is sent all the same.

import { PassThrough, Readable } from 'node:stream'
import { LockstepError } from '#shared/errors.ts'
import { readTarball, type TarballFacts, type TarballReading } from './tarball-facts.ts'

export type Witnessed =
  | { readonly outcome: 'read'; readonly facts: TarballFacts }
  /** Publishing ought to refuse it as well. */
  | { readonly outcome: 'refused'; readonly refusal: LockstepError }

export class TarballWitness {
  /** To be sent in place of the source. */
  readonly stream: Readable
  /** Settles when `stream` is over. */
  readonly witnessed: Promise<Witnessed>

  constructor(source: Readable, reading: TarballReading) {
    const copy = new PassThrough()
    this.witnessed = witnessedOf(copy, reading)
    // Who fails to send does not ask what was sent.
    this.witnessed.catch(() => {})
    this.stream = Readable.from(passedOn(source, copy), { objectMode: false })
    this.stream.on('close', () => {
      if (!copy.writableEnded) copy.destroy(notWhole())
    })
  }
}

async function* passedOn(source: Readable, copy: PassThrough): AsyncGenerator<Buffer> {
  for await (const chunk of source as AsyncIterable<Buffer>) {
    if (!copy.destroyed && !copy.write(chunk)) await taken(copy)
    yield chunk
  }
  copy.end()
}

function notWhole(): LockstepError {
  return new LockstepError('bad-archive', 'the tarball was not sent to its end')
}

/** Done when the reader wants more, or wants nothing any more. */
function taken(copy: PassThrough): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      copy.off('drain', done)
      copy.off('close', done)
      resolve()
    }
    copy.on('drain', done)
    copy.on('close', done)
  })
}

async function witnessedOf(copy: PassThrough, reading: TarballReading): Promise<Witnessed> {
  try {
    return { outcome: 'read', facts: await readTarball(copy, reading) }
  } catch (error) {
    if (!(error instanceof LockstepError)) throw error
    return { outcome: 'refused', refusal: error }
  } finally {
    // What was refused halfway is read no more.
    copy.destroy()
  }
}
