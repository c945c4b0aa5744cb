// A process that does nothing but read through `current`, as fast as it can, and counts. It reads
// between two messages to its parent, so that it neither outruns it nor waits for it.

import { closeSync, lstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'

export interface ReaderCounts {
  readonly reads: number
  readonly failures: number
  /** What was read at all: each release says its name. */
  readonly seen: readonly string[]
  readonly firstFailure: string | null
}

const batchReads = 200
const [current = ''] = process.argv.slice(2)
const marker = join(current, 'marker')
const buffer = Buffer.alloc(64)
const seen = new Set<string>()
const counts = { reads: 0, failures: 0, firstFailure: null as string | null }

process.on('disconnect', () => process.exit())
readBatch()

function readBatch(): void {
  for (let read = 0; read < batchReads; read += 1) readOnce()
  const message: ReaderCounts = { ...counts, seen: [...seen] }
  // The next batch begins when this was sent: messages of the parent are seen in between.
  process.send?.(message, () => setImmediate(readBatch))
}

function readOnce(): void {
  counts.reads += 1
  try {
    lstatSync(current)
    const file = openSync(marker, 'r')
    seen.add(buffer.toString('utf8', 0, readSync(file, buffer, 0, buffer.length, 0)))
    closeSync(file)
  } catch (error) {
    counts.failures += 1
    counts.firstFailure ??= String(error)
  }
}
