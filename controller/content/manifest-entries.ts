// A stored manifest as its entries, a batch for each piece that is read: 200,000 of them never wait
// in memory, and other work goes on in between.

import type { Readable } from 'node:stream'
import { setImmediate as otherWork } from 'node:timers/promises'
import { type ManifestEntry, parseManifestLine } from '#shared/manifest.ts'

/**
 * @param manifest the bytes of a manifest that was judged when it was stored
 * @throws LockstepError `bad-manifest`.
 */
export async function* manifestEntries(
  manifest: Readable,
): AsyncGenerator<readonly ManifestEntry[], void, void> {
  let rest = ''
  let count = 0
  let isFirst = true
  for await (const text of manifest.setEncoding('utf8') as AsyncIterable<string>) {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    if (isFirst && lines.length > 0) {
      lines.shift()
      isFirst = false
    }
    const before = count
    count += lines.length
    yield lines.map((line, at) => parseManifestLine(line, before + at))
    // What was read ahead comes without a pause of its own.
    await otherWork()
  }
}
