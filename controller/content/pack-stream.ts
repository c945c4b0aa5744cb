// The bytes of a pack before compression: a canonical tar of a release's entries, with the content
// of its files from the store. Memory does not grow with the release.

import { createHash } from 'node:crypto'
import { LockstepError } from '#shared/errors.ts'
import { sha256Hex } from '#shared/ids.ts'
import { limits } from '#shared/limits.ts'
import { tarEndBytes, tarHeaderOf, tarPaddingBytes } from '#shared/canonical-tar.ts'
import type { ManifestEntry, ManifestFile } from '#shared/manifest.ts'
import { evenPieces } from '#shared/pack-format.ts'
import type { ContentStore } from './ports.ts'

/**
 * A canonical tar with these entries, in this order. Content is judged by its hash again, so that a
 * damaged disk shows here, by name, and not on every host.
 * @throws LockstepError `disk-error` when content is missing or is not what its name says.
 */
export function packBytes(
  entries: Iterable<ManifestEntry>,
  content: ContentStore,
): AsyncGenerator<Uint8Array> {
  return evenPieces(pieces(entries, content))
}

async function* pieces(
  entries: Iterable<ManifestEntry>,
  content: ContentStore,
): AsyncGenerator<Uint8Array> {
  for (const { entry, small } of readAhead(entries, content)) {
    yield tarHeaderOf(entry)
    if (entry.type !== 'file' || entry.sizeBytes === 0) continue
    if (small === null) yield* largeContent(entry, content)
    else yield await wholeContent(entry, small, content)
    yield new Uint8Array(tarPaddingBytes(entry.sizeBytes))
  }
  yield new Uint8Array(tarEndBytes)
}

/** An entry, and what is read of a small file already. */
interface EntryAhead {
  entry: ManifestEntry
  small: Promise<Buffer> | null
}

/** Reads small files a few ahead of their turn: one after another costs several times as long. */
function* readAhead(
  entries: Iterable<ManifestEntry>,
  content: ContentStore,
): Generator<EntryAhead> {
  const ahead: EntryAhead[] = []
  for (const entry of entries) {
    const isSmall = entry.type === 'file' && entry.sizeBytes <= limits.contentInMemoryBytesMax
    const small = isSmall ? content.readWhole('content', entry.sha256) : null
    // Handled when its turn comes; until then, and when that never is, it is no unhandled one.
    small?.catch(() => {})
    ahead.push({ entry, small })
    if (ahead.length > limits.contentReadsAheadMax) yield* ahead.splice(0, 1)
  }
  yield* ahead
}

async function wholeContent(
  file: ManifestFile,
  reading: Promise<Buffer>,
  content: ContentStore,
): Promise<Buffer> {
  const bytes = await reading
  if (bytes.length === file.sizeBytes && sha256Hex(bytes) === file.sha256) return bytes
  throw await setAside(file, content)
}

async function* largeContent(
  file: ManifestFile,
  content: ContentStore,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  for await (const chunk of await content.read('content', file.sha256)) {
    sizeBytes += chunk.length
    hash.update(chunk)
    if (sizeBytes <= file.sizeBytes) yield chunk
  }
  if (sizeBytes === file.sizeBytes && hash.digest('hex') === file.sha256) return
  throw await setAside(file, content)
}

async function setAside(file: ManifestFile, content: ContentStore): Promise<LockstepError> {
  await content.setAside('content', file.sha256)
  return new LockstepError('disk-error', `Stored content ${file.sha256} is damaged`, {
    hint: `It belongs to ${JSON.stringify(file.path)}. Publish the same tarball again to replace it.`,
    details: { sha256: file.sha256 },
  })
}
