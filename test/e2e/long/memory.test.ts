// Peak memory of controller and agent does not grow with the release: 1 GB against 10 MB, published,
// packed, fetched, staged and swapped by real processes.

import { createHash } from 'node:crypto'
import { statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { Readable } from 'node:stream'
import t from 'tap'
import { end, header, padded } from '../../support/archives.ts'
import { noise } from '../../integration/test-release.ts'
import { Fleet } from '../fleet/fleet.ts'

const MiB = 1024 * 1024
const fileCount = 256
const growthMaxBytes = 64 * MiB
/** Upload, content, pack and host hold the release once each, and some room is left. */
const roomBytes = 6 * 1024 * MiB

interface Peaks {
  readonly controllerBytes: number
  readonly agentBytes: number
  readonly tookMs: number
}

/** A tarball of files that do not compress and have nothing in common with each other. */
function* tarball(fileBytes: number): Generator<Buffer> {
  const block = noise('memory', MiB)
  for (let number = 0; number < fileCount; number += 1) {
    yield header({ name: `data/${number}`, size: fileBytes })
    for (let written = 0; written < fileBytes; written += block.length) {
      const part = Buffer.from(block.subarray(0, Math.min(block.length, fileBytes - written)))
      createHash('sha512').update(`${number} ${written}`).digest().copy(part)
      yield part
    }
    yield padded('').subarray(0, (512 - (fileBytes % 512)) % 512)
  }
  yield end
}

async function peaksWith(t: Parameters<typeof Fleet.start>[0], fileBytes: number): Promise<Peaks> {
  const fleet = await Fleet.start(t, ['web-1'])
  const startedAt = performance.now()
  await fleet.publish('1', Readable.from(tarball(fileBytes), { objectMode: false }), 0)
  await fleet.deploy('1')
  const tookMs = performance.now() - startedAt
  return {
    controllerBytes: fleet.controller.peakMemoryBytes(),
    agentBytes: fleet.host('web-1').daemon.peakMemoryBytes(),
    tookMs,
  }
}

const { bavail, bsize } = statfsSync(tmpdir())
const skip = bavail * bsize > roomBytes ? false : `${tmpdir()} has less than 6 GiB free`

void t.test('a release of 1 GB needs hardly more memory than one of 10 MB', { skip }, async (t) => {
  const small = await peaksWith(t, 40 * 1024)
  const large = await peaksWith(t, 4 * MiB)
  const text = (bytes: number) => `${(bytes / MiB).toFixed(0)} MiB`
  for (const name of ['controllerBytes', 'agentBytes'] as const) {
    const grown = large[name] - small[name]
    const figures = `${text(small[name])} with 10 MB, ${text(large[name])} with 1 GB`
    t.comment(`peak memory of the ${name.replace('Bytes', '')}: ${figures}`)
    t.ok(grown <= growthMaxBytes, `${name}: ${figures}`)
  }
  t.comment(`1 GB published and deployed in ${(large.tookMs / 1000).toFixed(1)} s`)
})
