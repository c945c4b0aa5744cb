// Frees the buffers of what was read in time. They lie outside V8's own heap, of which reading a
// large file needs so little that V8 sees no reason to collect: it lets dead buffers of 64 MB and
// more pile up first. With this, memory does not grow with the release.

import type { Readable } from 'node:stream'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

type Collect = (options: { type: 'minor'; execution: 'sync' }) => void

/** So much is read before the dead buffers among it are looked for: about a millisecond each time. */
const collectEveryBytes = 16 * 1024 * 1024

const collect = exposed()

export class ReadGarbage {
  #bytes = 0

  /** Counts what the stream reads; the stream itself is not begun by it. */
  of(stream: Readable): Readable {
    return stream.on('data', (chunk: Buffer) => this.#count(chunk.length)).pause()
  }

  #count(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes < collectEveryBytes) return
    this.#bytes = 0
    collect({ type: 'minor', execution: 'sync' })
  }
}

/** V8's own collector, which a context has that is made after the flag was set. */
function exposed(): Collect {
  setFlagsFromString('--expose-gc')
  const gc: Collect = runInNewContext('gc')
  return gc
}
