// Memory of a stage: it does not grow with the release. A large and a small release are staged,
// each in a process of its own, and the most that either had resident is compared.

import { createCipheriv, createHash } from 'node:crypto'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { createZstdCompress } from 'node:zlib'
import { tarEndBytes, tarHeaderOf, tarPaddingBytes } from '#shared/canonical-tar.ts'
import {
  formatManifest,
  type ManifestEntry,
  parseManifest,
  treeDigestOf,
} from '#shared/manifest.ts'
import { ContentServer, type Scope } from './content-server.ts'
import { runNode } from './own-process.ts'
import { StagedApp } from './staged-app.ts'

const MiB = 1024 * 1024
const fileBytes = 10 * MiB
const chunkBytes = 1 * MiB
/** What the large release may have resident beyond the small one. */
const growthBytesMax = 64 * MiB

t.setTimeout(300_000)

/** Bytes of file `index`: as good as random, and the same every time. */
function* contentOf(index: number): Generator<Buffer> {
  const stream = createCipheriv('aes-128-ctr', Buffer.alloc(16, index), Buffer.alloc(16))
  const zeros = Buffer.alloc(chunkBytes)
  for (let at = 0; at < fileBytes; at += chunkBytes) yield stream.update(zeros)
}

interface LargeRelease {
  readonly manifest: string
  readonly tree: string
  readonly entries: readonly ManifestEntry[]
}

function releaseOfFiles(count: number): LargeRelease {
  const entries = Array.from({ length: count }, (_, index): ManifestEntry => {
    const sum = createHash('sha256')
    for (const chunk of contentOf(index)) sum.update(chunk)
    const path = `file-${String(index).padStart(3, '0')}`
    return { type: 'file', path, mode: 0o644, sizeBytes: fileBytes, sha256: sum.digest('hex') }
  })
  const manifest = formatManifest(entries)
  return { manifest, tree: treeDigestOf(manifest), entries: parseManifest(manifest) }
}

function* tarOfFiles(release: LargeRelease): Generator<Uint8Array> {
  for (const [index, entry] of release.entries.entries()) {
    yield tarHeaderOf(entry)
    yield* contentOf(index)
    yield new Uint8Array(tarPaddingBytes(fileBytes))
  }
  yield new Uint8Array(tarEndBytes)
}

/** The most memory that the process of a stage had resident, in bytes. */
async function peakOf(t: Scope, release: LargeRelease): Promise<number> {
  const server = await ContentServer.start(t)
  server.put(`/v1/trees/${release.tree}/manifest`, Buffer.from(release.manifest))
  server.fault = ({ path, response, answer }) => {
    if (!path.endsWith('/pack')) return answer()
    void pipeline(tarOfFiles(release), createZstdCompress(), response)
  }
  const app = new StagedApp(t.testdir({}), server)
  const request = JSON.stringify(app.request({ version: '1', tree: release.tree }))
  const script = fileURLToPath(new URL('./staging-process.ts', import.meta.url))
  const output = await runNode({ args: [script, request] })
  const { peakBytes } = JSON.parse(output ?? '') as { peakBytes: number }
  return peakBytes
}

void t.test('memory does not grow with the release', async (t) => {
  const small = await peakOf(t, releaseOfFiles(1))
  const large = await peakOf(t, releaseOfFiles(50))
  const inMiB = (bytes: number): string => (bytes / MiB).toFixed(0)
  t.comment(`at most ${inMiB(small)} MiB for a release of 10 MiB, ${inMiB(large)} for 500 MiB`)
  t.ok(large - small < growthBytesMax, `it grows by ${inMiB(large - small)} MiB`)
})
