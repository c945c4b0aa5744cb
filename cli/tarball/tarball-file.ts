// Opens a tarball that a command was given: a file, a pipe by name, or standard input.

import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'
import { misuse } from '../arguments.ts'
import { printable } from '../output/printable.ts'
import { bytesText } from '../output/quantities.ts'
import { readTarball, type TarballFacts, type TarballReading } from './tarball-facts.ts'

export interface OpenTarball {
  readonly stream: Readable
  /** Undefined for what comes from a pipe. */
  readonly sizeBytes: number | undefined
}

/**
 * @param path `-` for standard input
 * @throws LockstepError `bad-usage`, `too-large`: nothing was read
 */
export async function openTarball(path: string, stdin: Readable): Promise<OpenTarball> {
  if (path === '-') return { stream: stdin, sizeBytes: undefined }
  const facts = await stat(path).catch((error: unknown) => {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    throw misuse(`${printable(path)} cannot be read (${code})`, 'Name the tarball that was built.')
  })
  if (facts.isDirectory()) {
    const shown = printable(path)
    const hint = `Pack it first: tar -C ${shown} -czf release.tar.gz .`
    throw misuse(`${shown} is a directory`, hint)
  }
  if (!facts.isFile()) return { stream: createReadStream(path), sizeBytes: undefined }
  const sizeBytes = facts.size
  if (sizeBytes > limits.artifactBytesMax) {
    const allowed = bytesText(limits.artifactBytesMax)
    throw new LockstepError(
      'too-large',
      `${printable(path)} has ${bytesText(sizeBytes)}, and a tarball may have ${allowed}`,
      { hint: 'Leave out what the servers do not need, or split the app.' },
    )
  }
  // What is appended while it is read is not the file that was named.
  const end = Math.max(0, sizeBytes - 1)
  return { stream: createReadStream(path, { end }), sizeBytes }
}

/**
 * What a tarball that is given by name is.
 * @throws LockstepError as `openTarball` and `readTarball`
 */
export async function readGivenTarball(
  path: string,
  stdin: Readable,
  reading: TarballReading,
): Promise<TarballFacts> {
  const { stream } = await openTarball(path, stdin)
  try {
    return await readTarball(stream, reading)
  } finally {
    stream.destroy()
  }
}
