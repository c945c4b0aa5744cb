// Small files that a command is given by name: keys, statements, trust files.

import { open } from 'node:fs/promises'
import { systemCodeOf } from '#shared/errors.ts'
import { misuse } from './arguments.ts'
import { printable } from './output/printable.ts'

export interface GivenFile {
  readonly content: Buffer
  /** Permissions; null for what is no file with a name, such as a pipe. */
  readonly mode: number | null
}

/**
 * @param what it is, for messages: "the key"
 * @throws LockstepError `bad-usage`
 */
export async function readGivenFile(
  path: string,
  what: string,
  bytesMax: number,
): Promise<GivenFile> {
  const named = `${what} ${printable(path)}`
  const given = await read(path, bytesMax + 1).catch((error: unknown) => {
    const code = systemCodeOf(error)
    if (code === undefined) throw error
    throw misuse(`${named} cannot be read (${code})`, 'Name a file that you may read.')
  })
  if (given.content.length <= bytesMax) return given
  throw misuse(`${named} is over ${bytesMax} bytes`, 'Name another file.')
}

async function read(path: string, bytesMax: number): Promise<GivenFile> {
  const file = await open(path, 'r')
  try {
    const facts = await file.stat()
    const content = Buffer.alloc(bytesMax)
    let sizeBytes = 0
    for (let isAtEnd = false; !isAtEnd && sizeBytes < bytesMax; ) {
      const { bytesRead } = await file.read(content, sizeBytes, bytesMax - sizeBytes)
      sizeBytes += bytesRead
      isAtEnd = bytesRead === 0
    }
    const mode = facts.isFile() ? facts.mode & 0o777 : null
    return { content: content.subarray(0, sizeBytes), mode }
  } finally {
    await file.close()
  }
}
