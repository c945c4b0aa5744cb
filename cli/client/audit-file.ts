// An exported audit trail as entries, one line at a time, however long the file is.

import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import type { AuditEntry } from '#shared/audit/audit-entry.ts'
import { parseAuditLine } from '#shared/audit/audit-line.ts'
import { LockstepError, systemCodeOf } from '#shared/errors.ts'
import { limits } from '#shared/limits.ts'

/**
 * @param path a file, or `-` for standard input
 * @throws LockstepError `bad-usage` for a file that cannot be read; `audit-broken` for a line that no
 *   export has
 */
export async function* auditEntriesIn(
  path: string,
  stdin: Readable,
): AsyncGenerator<AuditEntry, void, void> {
  const stream = path === '-' ? stdin : createReadStream(path)
  let number = 0
  try {
    for await (const line of linesOf(stream)) {
      number += 1
      const entry = line === null ? null : parseAuditLine(line)
      if (entry === null) throw notALine(number)
      yield entry
    }
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === undefined || error instanceof LockstepError) throw error
    throw new LockstepError('bad-usage', `${path} cannot be read (${code})`, {
      hint: 'Name a file that `lockstep audit export` wrote, or - for standard input.',
      cause: error,
    })
  } finally {
    stream.destroy()
  }
}

/** Null in place of what is too long, no UTF-8 or not ended by a line end: nothing follows it. */
async function* linesOf(stream: Readable): AsyncGenerator<string | null, void, void> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    rest = Buffer.concat([rest, chunk])
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      yield decoded(rest.subarray(0, end))
      rest = rest.subarray(end + 1)
    }
    if (rest.length > limits.auditLineBytesMax) return yield null
  }
  if (rest.length > 0) yield null
}

function decoded(bytes: Buffer): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    return null
  }
}

function notALine(number: number): LockstepError {
  return new LockstepError('audit-broken', `line ${number} is no entry as it was exported`, {
    hint: 'It was changed or cut off, or the file is none that `lockstep audit export` wrote.',
    details: { kind: 'unreadable', line: number },
  })
}
